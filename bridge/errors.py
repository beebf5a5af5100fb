"""Everything that can go wrong, in five families.

    DustError
    ├── InvalidInput    what was sent is wrong; sending it again will not help
    ├── NotAuthentic    who sent it is not proved
    ├── NotFound        there is no such thing, or it is not yours
    ├── Conflict        it is right, but not possible as things stand
    └── Unavailable     something we need is away; the only family that is retried

A concrete error lives beside the function that raises it. `code` is stable and for programs; the message is for people.
Keyword arguments beyond the message become keys of the problem document.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from pydantic import ValidationError


class DustError(Exception):
    """The root. `details` are values a caller may act on, shown beside the message."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class InvalidInput(DustError):
    code = "invalid_input"


class NotAuthentic(DustError):
    code = "not_authentic"


class NotFound(DustError):
    code = "not_found"


class Conflict(DustError):
    code = "conflict"


class Unavailable(DustError):
    code = "unavailable"


class KeyReused(Conflict):
    """An Idempotency-Key came a second time, with another request."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used for a different request: use a fresh one.")


# A body may hold sixty thousand wrong fields; an answer or a log line of megabytes helps nobody to fix them.
MAX_FIELDS = 50


def listed(fields: Iterable[str], separator: str = ", ") -> str:
    """The first fifty, and how many more there are."""
    every = list(fields)
    more = len(every) - MAX_FIELDS
    return separator.join(every[:MAX_FIELDS]) + (f"{separator}and {more} more" if more > 0 else "")


def wrong_fields(error: ValidationError) -> str:
    """The paths of all fields that pydantic found fault with, dots between the steps."""
    return listed(sorted({".".join(map(str, found["loc"])) for found in error.errors()}))


class FieldErrors(InvalidInput):
    """One or more named fields are wrong; `errors` lists each with what would be right."""

    code = "invalid_fields"

    def __init__(self, errors: list[dict[str, str]]) -> None:
        told = errors[:MAX_FIELDS]
        super().__init__(listed((_named(each) for each in errors), "; "), errors=told)


def _named(error: dict[str, str]) -> str:
    """A whole sentence is for a shopper, who knows no fields."""
    return error["message"] if error["message"].endswith(".") else f"{error['field']}: {error['message']}"


def field_error(field: str, message: str) -> FieldErrors:
    """A `FieldErrors` about a single field."""
    return FieldErrors([{"field": field, "message": message}])
