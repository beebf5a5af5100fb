"""Times that come from outside: in Medusa's documents, in events and in requests."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime

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


StorableTime = Annotated[AwareDatetime, AfterValidator(_require_storable)]
"""An aware time that is stored."""
