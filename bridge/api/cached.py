"""Public answers that a cache may keep as long as it asks whether they are still true."""

import hashlib

from fastapi import Response
from pydantic import BaseModel


def cached(answer: BaseModel, if_none_match: str | None) -> Response:
    """The answer with an ETag, or 304 for who has it already."""
    body = answer.model_dump_json().encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "public, max-age=0, must-revalidate"}
    known = {tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")}
    if etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")
