"""Fast path for the two most frequent requests: answer them without FastAPI's routing and validation.

Through FastAPI's routes an event takes 1.3 times and a balance 1.8 times as much of the API's CPU (decision 16).
Their routes remain in FastAPI only for the OpenAPI document. All other requests go to FastAPI.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bridge.errors import DustError
from bridge.http.problems import error_response, problem

Answer = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class _Route:
    """The attribute of a route that `RequestContext` reads."""

    path_format: str


class FastPath:
    """ASGI middleware: answers these methods and paths itself. Only `DustError` is handled; other errors propagate."""

    def __init__(self, app: ASGIApp, answers: Mapping[tuple[str, str], Answer]) -> None:
        self._app = app
        self._answers = {key: (answer, _Route(key[1])) for key, answer in answers.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match = self._answers.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if match is None:
            await self._app(scope, receive, send)
            return
        answer, scope["route"] = match
        request = Request(scope, receive)
        try:
            response = await answer(request)
        except DustError as error:
            response = error_response(request, error)
        except ClientDisconnect:
            # As FastAPI does. The client is gone, which is not an error: no traceback, and no 5xx in the metrics.
            response = problem(400, "bad_request", "The connection was closed before the whole body had come.")
        await response(scope, receive, send)
