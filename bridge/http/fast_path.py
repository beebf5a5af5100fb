"""Fast path for the two most frequent requests: answer them without FastAPI's routing and validation.

FastAPI's steps cost more than these requests themselves; docs/decisions/0016 has the figures. Their routes remain in
FastAPI only for the OpenAPI document. All other requests go to FastAPI.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bridge.errors import DustError
from bridge.http.problems import answer_error

Answer = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class _Route:
    """The attribute of a route that `Watched` reads."""

    path: str


class Quick:
    """ASGI middleware: answers these methods and paths itself. Only `DustError` is handled; other errors propagate."""

    def __init__(self, app: ASGIApp, answers: Mapping[tuple[str, str], Answer]) -> None:
        self._app = app
        self._answers = {key: (answer, _Route(key[1])) for key, answer in answers.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._answers.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        answer, scope["route"] = found
        request = Request(scope, receive)
        try:
            response = await answer(request)
        except DustError as error:
            response = answer_error(request, error)
        await response(scope, receive, send)
