"""Paging: `limit` and an opaque `cursor`, which names its list and a position in it."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Annotated, TypeVar

from fastapi import Query

from bridge.errors import FieldErrors, field_error

Row = TypeVar("Row")

MAX_ROWS = 100

Limit = Annotated[int, Query(ge=1, le=MAX_ROWS, description="Maximum number of rows on a page")]
Cursor = Annotated[str | None, Query(max_length=500, description="`next_cursor` of the previous page")]


class Listing(StrEnum):
    """The paged lists. A cursor names its list: used with another list it would skip or repeat rows."""

    PRODUCTS = "products"
    TRANSACTIONS = "transactions"
    STATEMENT = "statement"
    CUSTOMERS = "customers"
    REDEMPTIONS = "redemptions"
    EVENTS = "events"
    VERSIONS = "versions"
    ESCROWS = "escrows"
    OUTGOING_WEBHOOKS = "outgoing_webhooks"
    CLOSES = "closes"


def invalid_cursor() -> FieldErrors:
    """The error for a cursor that is not one of the list's."""
    return field_error("cursor", "is not one of this list's: use the next_cursor of the page before")


def split_page(
    listing: Listing, rows: Sequence[Row], limit: int, position: Callable[[Row], str | int]
) -> tuple[Sequence[Row], str | None]:
    """The rows of one page and its `next_cursor`. `rows` were read with a limit of `limit + 1`."""
    if len(rows) <= limit:
        return rows, None
    following = f"{listing}:{position(rows[limit - 1])}"
    return rows[:limit], base64.urlsafe_b64encode(following.encode()).decode().rstrip("=")


def decode_cursor(listing: Listing, cursor: str | None) -> str | None:
    """The position that a cursor encodes. Raises `FieldErrors`."""
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise invalid_cursor() from error
    owner, _, position = text.partition(":")
    if owner != listing or not position.isprintable():
        raise invalid_cursor()
    return position


def decode_number_cursor(listing: Listing, cursor: str | None) -> int | None:
    """As `decode_cursor`, for lists that are ordered by a number."""
    text = decode_cursor(listing, cursor)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise invalid_cursor()
    return int(text)
