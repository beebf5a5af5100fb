"""Points that came in and went out, by period: the accounting identity in detail."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from sqlalchemy import Connection, text

from bridge.programme.days import start_of_day

# A row counts from the earliest time of it and the customer's later rows: see liability.py.
_OPENING = text(
    """
    SELECT coalesce(sum(amount), 0)::bigint
    FROM (SELECT amount, min(created_at) OVER (PARTITION BY customer_id ORDER BY version DESC) AS booked_at
          FROM dust_transaction) dated
    WHERE booked_at < :start
    """
)
_MOVED = text(
    """
    SELECT (date_trunc(:period, booked_at AT TIME ZONE 'UTC'))::date AS day, kind, sum(amount)::bigint AS dust
    FROM (SELECT kind, amount, min(created_at) OVER (PARTITION BY customer_id ORDER BY version DESC) AS booked_at
          FROM dust_transaction) dated
    WHERE booked_at >= :start AND booked_at < :until AND amount <> 0
    GROUP BY day, kind ORDER BY day, kind
    """
)
MAX_PERIODS = 400


class Period(StrEnum):
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, kw_only=True)
class Movements:
    """One period that starts on `start`, in whole points: `opening` plus all of `moved` is `closing`."""

    start: date
    opening: int
    moved: Mapping[str, int]

    @property
    def closing(self) -> int:
        return self.opening + sum(self.moved.values())


def movements(connection: Connection, *, start: date, until: date, period: Period) -> list[Movements]:
    """Return every period, empty ones too, from the one with `start` to before `until`, in UTC."""
    first = _first_day(start, period)
    moved: dict[date, dict[str, int]] = {}
    bounds = {"start": start_of_day(first, "UTC"), "until": start_of_day(until, "UTC")}
    for row in connection.execute(_MOVED, {**bounds, "period": period.value}):
        moved.setdefault(row.day, {})[row.kind] = row.dust
    opening = int(connection.scalar(_OPENING, {"start": bounds["start"]}) or 0)
    periods: list[Movements] = []
    day = first
    while day < until:
        periods.append(Movements(start=day, opening=opening, moved=moved.get(day, {})))
        opening, day = periods[-1].closing, _next(day, period)
    return periods


def count_periods(*, start: date, until: date, period: Period) -> int:
    """Return how many periods `movements` would return."""
    if period is Period.DAY:
        return (until - start).days
    return (until.year - start.year) * 12 + until.month - start.month + (until.day > 1)


def _first_day(day: date, period: Period) -> date:
    return day if period is Period.DAY else day.replace(day=1)


def _next(day: date, period: Period) -> date:
    return day + timedelta(days=1) if period is Period.DAY else (day + timedelta(days=32)).replace(day=1)
