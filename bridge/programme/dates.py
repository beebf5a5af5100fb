"""When points mature and expire."""

from datetime import datetime, timedelta

from bridge.programme.days import end_of_day_after
from bridge.programme.rules import Programme


def maturity_and_expiry(programme: Programme, placed_at: datetime) -> tuple[datetime | None, datetime | None]:
    """Return when an order's points mature and expire; None for either that does not apply.

    Counted from the time the order was placed, not from when Dust learned of it, so a late webhook neither costs
    nor gives days.
    """
    days = programme.earn.pending_days
    return placed_at + timedelta(days=days) if days else None, expiry(programme, placed_at)


def expiry(programme: Programme, moment: datetime, days: int | None = None) -> datetime | None:
    """Return when points of this moment expire, after `days` or else as earned ones do; None: never.

    It is the end of a day, so that points can be used on the whole day that a page shows.
    """
    days_kept = days or programme.earn.expires_after_days
    return end_of_day_after(moment, days_kept, programme.time_zone) if days_kept else None
