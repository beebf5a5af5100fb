"""Answer a HEAD request as the GET of the same path, without the body (RFC 9110). FastAPI's routes answer 405 to it."""

from starlette.types import ASGIApp, Receive, Scope, Send


class HeadAsGet:
    """ASGI middleware. The server leaves the body out, because to the server the request is still a HEAD."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        get = {**scope, "method": "GET"}
        try:
            await self._app(get, receive, send)
        finally:
            # The metrics name it.
            scope["route"] = get.get("route")
