"""Times that come from outside: in Medusa's documents, in events and in requests."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

# Postgres stores the years 0 and 10000 too, and Python cannot read them: every query that finds such a row fails. Time
# zones and days that are added need room as well.
_FIRST, _AFTER_LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)


def is_storable(moment: datetime) -> bool:
    """Whether an aware time is in the years 1900 to 2999 (UTC)."""
    return _FIRST <= moment < _AFTER_LAST


def _require_storable(moment: datetime) -> datetime:
    if not is_storable(moment):
        raise ValueError("must be in the years 1900 to 2999")
    return moment


def _read_iso(value: object, read: ValidatorFunctionWrapHandler) -> datetime:
    # Pydantic reads a number, also one in a text, as seconds since 1970: 20261201 would be a day in August 1970.
    is_number = isinstance(value, str) and value.strip().lstrip("+-").replace(".", "", 1).isdecimal()
    if isinstance(value, str | datetime) and not is_number:
        with suppress(ValidationError):
            moment: datetime = read(value)
            return moment
    raise ValueError("must be a time with its zone, such as 2026-12-01T12:00:00Z")


StorableTime = Annotated[AwareDatetime, AfterValidator(_require_storable)]
"""An aware time in a document of Medusa, which is stored."""

IsoTime = Annotated[AwareDatetime, WrapValidator(_read_iso)]
"""An aware time in a request, in ISO 8601."""

StorableIsoTime = Annotated[IsoTime, AfterValidator(_require_storable)]
"""An aware time in a request or an event, in ISO 8601, which is stored."""
