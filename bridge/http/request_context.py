"""Request context: adds a request id to the log lines, records the duration and opens a trace span."""

import re
import time
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.ids import new_id
from bridge.observability.metrics import HTTP_SECONDS
from bridge.observability.tracing import span

_HEADER: Final = b"x-request-id"
# A proxy may have set the request id. A value of another form is ignored, so that it does not get into the log.
_GIVEN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# Unknown methods must not create metric labels: a client could create any number of them.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestContext:
    """ASGI middleware. It returns the request id as `X-Request-ID`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(_HEADER, b"")
        request_id = given if _GIVEN_ID.fullmatch(given) else new_id("req").encode()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id.decode())
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (_HEADER, request_id)]
            await send(message)

        method = scope["method"] if scope["method"] in _METHODS else "other"
        started = time.perf_counter()
        try:
            with span(method, parent=_traceparent(headers), **{"url.path": scope["path"]}):
                await self._app(scope, receive, send_with_id)
        finally:
            # The router stores the matched route. Unmatched paths share one label, as clients can invent any number.
            route = getattr(scope.get("route"), "path_format", "none")
            seconds = time.perf_counter() - started
            HTTP_SECONDS.labels(method, route, f"{status // 100}xx").observe(seconds)


def _traceparent(headers: dict[bytes, bytes]) -> str | None:
    value = headers.get(b"traceparent")
    return value.decode("latin-1") if value else None
