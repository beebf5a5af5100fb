"""Cache headers: public responses can be cached and revalidated by ETag; all others must not be stored."""

import hashlib
from typing import Annotated, Any

from fastapi import Header, Response
from pydantic import BaseModel
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

IfNoneMatch = Annotated[str | None, Header()]
# For the `responses=` argument of a route.
UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "Unchanged since the ETag"}}


def cacheable_response(answer: BaseModel, if_none_match: str | None) -> Response:
    """The response with an ETag, or a 304 if the client's `If-None-Match` has it."""
    body = answer.model_dump_json().encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "public, max-age=0, must-revalidate"}
    known = {tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")}
    if etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


class NoStoreByDefault:
    """ASGI middleware: adds `Cache-Control: private, no-store` to responses without a `Cache-Control`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_private(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("Cache-Control", "private, no-store")
            await send(message)

        await self._app(scope, receive, send_private)
