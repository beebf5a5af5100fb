"""Limits on the size and the duration of a request body, because it is read into memory before authentication."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.errors import InvalidInput
from bridge.http.problems import problem

MAX_BYTES = 1024 * 1024
# For the whole body. A slow phone sends a mebibyte in half of it.
BODY_SECONDS = 20.0


class TooLarge(InvalidInput):
    """The body is larger than `MAX_BYTES`."""

    code = "too_large"
    status = 413

    def __init__(self) -> None:
        super().__init__(f"The body is over {MAX_BYTES} bytes.", max_bytes=MAX_BYTES)


class TooSlow(InvalidInput):
    """The body was not complete within `BODY_SECONDS`."""

    code = "too_slow"
    status = 408
    message = f"The request body did not arrive within {BODY_SECONDS:.0f} seconds."


class BodyLimit:
    """ASGI middleware: answers 413 to a too large `Content-Length`. While a body is read it raises `TooLarge` or
    `TooSlow`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        if length.isdecimal() and int(length) > MAX_BYTES:
            error = TooLarge()
            await problem(error.status, error.code, error.message, **error.details)(scope, receive, send)
            return
        seen, complete = 0, False
        deadline = asyncio.get_running_loop().time() + BODY_SECONDS

        async def counted() -> Message:
            nonlocal seen, complete
            if complete:
                # The next message is the disconnect, which has no time limit.
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise TooSlow from None
            complete = not message.get("more_body", False)
            seen += len(message.get("body", b""))
            if seen > MAX_BYTES:
                raise TooLarge
            return message

        await self._app(scope, counted, send)
