"""The Idempotency-Key header. What a repeated key means is decided where its first answer is stored: `KeyReused`."""

import re
from typing import Annotated, Any

from fastapi import Depends, Header

from bridge.errors import InvalidInput, field_error


class KeyMissing(InvalidInput):
    """The request has no Idempotency-Key. It needs one, so that a double click has one effect."""

    code = "idempotency_key_missing"
    status = 400


_NAME = "Idempotency-Key"
_KEY = re.compile(r"[\x20-\x7e]{1,255}")


def idempotency_key(value: Annotated[str | None, Header(alias=_NAME)] = None) -> str:
    """The Idempotency-Key of a request that must not take effect twice. Raises `KeyMissing`, `FieldErrors`."""
    if not value:
        raise KeyMissing("Send an Idempotency-Key: any text of your own that is new for each new request.")
    if not _KEY.fullmatch(value):
        raise field_error(_NAME, "must be 1 to 255 printable characters")
    return value


IdempotencyKey = Annotated[str, Depends(idempotency_key)]


def require_key_in_schema(operation: dict[str, Any]) -> None:
    """Write into an operation's OpenAPI schema that it needs the header.

    FastAPI takes it for optional, so that a request without it gets the 400 of `KeyMissing`.
    """
    for parameter in operation.get("parameters", ()):
        if parameter["name"] == _NAME:
            text = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$", "title": _NAME}
            parameter.update(required=True, schema=text, description="Any text that is new for each new request")
