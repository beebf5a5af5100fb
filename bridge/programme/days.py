"""Calendar days in the programme's time zone. Pure arithmetic."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo


@cache
def zone_named(name: str) -> ZoneInfo:
    """Return the time zone with this IANA name. Raises `ValueError` or `KeyError` for any other name."""
    return ZoneInfo(name)


def local_date(moment: datetime, time_zone: str) -> date:
    return moment.astimezone(zone_named(time_zone)).date()


def start_of_day(day: date, time_zone: str) -> datetime:
    """Return the first moment of a day, in UTC.

    If clocks are set forward at midnight, it is the moment of the change. If they are set back to midnight, it is the
    first of the two midnights: `fold` is 0.
    """
    return datetime.combine(day, time.min, tzinfo=zone_named(time_zone)).astimezone(UTC)


def end_of_day(day: date, time_zone: str) -> datetime:
    """Return the last microsecond of a day, in UTC.

    1 March 2026 in Berlin ends at 22:59:59.999999 UTC, and in New York at 04:59:59.999999 UTC of 2 March.
    """
    return start_of_day(day + timedelta(days=1), time_zone) - timedelta.resolution


def end_of_day_after(moment: datetime, days: int, time_zone: str) -> datetime:
    """Return the end of the day that is `days` days after the day of `moment`."""
    return end_of_day(local_date(moment, time_zone) + timedelta(days=days), time_zone)
