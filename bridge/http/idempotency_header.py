"""The Idempotency-Key header. What a repeated key means is decided where its first answer is stored: `KeyReused`."""

import re
from typing import Annotated

from fastapi import Depends, Header

from bridge.errors import InvalidInput, field_error


class KeyMissing(InvalidInput):
    """The request has no Idempotency-Key. It needs one, so that a double click has one effect."""

    code = "idempotency_key_missing"
    status = 400


_KEY = re.compile(r"[\x20-\x7e]{1,255}")


def idempotency_key(value: Annotated[str | None, Header(alias="Idempotency-Key")] = None) -> str:
    """The Idempotency-Key of a request that must not take effect twice. Raises `KeyMissing`, `FieldErrors`."""
    if not value:
        raise KeyMissing("Send an Idempotency-Key: any text of your own that is new for each new request.")
    if not _KEY.fullmatch(value):
        raise field_error("Idempotency-Key", "must be 1 to 255 printable characters")
    return value


IdempotencyKey = Annotated[str, Depends(idempotency_key)]
