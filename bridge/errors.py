"""Errors of Dust, in five families.

    DustError
    ├── InvalidInput    the request is wrong; sending it again does not help
    ├── NotAuthentic    the sender is not authenticated
    ├── NotFound        the object does not exist, or belongs to another customer
    ├── Conflict        the request is valid, but not possible in the current state
    └── Unavailable     a service that Dust needs is unavailable; the only family that is retried

A concrete error is defined next to the function that raises it. `code` is stable and for programs; the message is for
people.
Keyword arguments beyond the message become keys of the problem document.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import ValidationError


class DustError(Exception):
    """Base class. A class whose errors all say the same has the `message` as an attribute.

    `details` are values for programs, returned beside the message. Errors whose message is for operators have a
    `shopper_message`: the Store API returns it instead, without the details.
    """

    code: ClassVar[str] = "error"
    message: str
    shopper_message: ClassVar[str | None] = None

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.message = self.message if message is None else message
        self.details = details
        super().__init__(self.message)


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
    shopper_message = "Points are not available right now. Please try again in a moment."


class KeyReused(Conflict):
    """An Idempotency-Key was used again for a different request."""

    code = "idempotency_key_reused"
    message = "This Idempotency-Key was used for a different request: use a fresh one."


# A body can have sixty thousand wrong fields. A response or log line of megabytes would not help to fix them.
MAX_FIELDS = 50
# Field names come from the sender and can have any length, and a message can quote a wrong value.
_MAX_FIELD_CHARACTERS = 200
_MAX_MESSAGE_CHARACTERS = 500


def listed(fields: Iterable[str], separator: str = ", ") -> str:
    """Join the first `MAX_FIELDS` fields, and say how many more there are."""
    every = list(fields)
    more = len(every) - MAX_FIELDS
    return separator.join(every[:MAX_FIELDS]) + (f"{separator}and {more} more" if more > 0 else "")


def wrong_fields(error: ValidationError) -> str:
    """The paths of all fields that pydantic rejected, with dots between the steps."""
    return listed(sorted({".".join(map(str, detail["loc"])) for detail in error.errors()}))


def field_problems(errors: Sequence[Mapping[str, Any]], *, skipped_steps: int = 0) -> list[dict[str, str]]:
    """Pydantic's errors for `FieldErrors`. Values are left out, because they may be secrets."""
    return [
        # Pydantic puts this prefix before the messages of our validators.
        {"field": _field(error["loc"][skipped_steps:]), "message": error["msg"].removeprefix("Value error, ")}
        for error in errors
    ]


def _field(steps: Sequence[int | str]) -> str:
    # Pydantic adds the step `[key]` if the key is wrong and not its value.
    return ".".join(str(step) for step in steps if step != "[key]") or "body"


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[:characters]}…"


class FieldErrors(InvalidInput):
    """One or more fields are wrong. `errors` lists each field with a message about valid values."""

    code = "invalid_fields"

    def __init__(self, errors: list[dict[str, str]]) -> None:
        short = [
            {
                "field": _cut(error["field"], _MAX_FIELD_CHARACTERS),
                "message": _cut(error["message"], _MAX_MESSAGE_CHARACTERS),
            }
            for error in errors
        ]
        super().__init__(listed(map(_named, short), "; "), errors=short[:MAX_FIELDS])


def _named(error: dict[str, str]) -> str:
    """`field: message`; only the message if it is a sentence, because that is for shoppers, who do not know fields."""
    return error["message"] if error["message"].endswith(".") else f"{error['field']}: {error['message']}"


def field_error(field: str, message: str) -> FieldErrors:
    """A `FieldErrors` about a single field."""
    return FieldErrors([{"field": field, "message": message}])
