"""What goes away in which month unless it is spent."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, text

from bridge.programme.versions import current_version

_BY_MONTH = text(
    """
    SELECT date_trunc('month', expires_at AT TIME ZONE :time_zone)::date AS month,
           coalesce(sum(remaining) FILTER (WHERE matured), 0)::bigint AS dust,
           coalesce(sum(held) FILTER (WHERE matured), 0)::bigint AS held,
           coalesce(sum(remaining) FILTER (WHERE NOT matured), 0)::bigint AS pending,
           count(DISTINCT customer_id) AS customers
    FROM dust_lot WHERE remaining > 0 GROUP BY month ORDER BY month NULLS LAST
    """
)


@dataclass(frozen=True, kw_only=True)
class ExpiringMonth:
    """Whole dust by the month (its first day) it expires in; `month` None is dust that never does.

    `held` is the part of `dust` that redemptions have set aside; `pending` comes on top and has not matured yet.
    """

    month: date | None
    dust: int
    held: int
    pending: int
    customers: int


def expiring_by_month(connection: Connection) -> list[ExpiringMonth]:
    """All dust there is, the soonest month of the programme's time zone first.

    It sums to the outstanding dust plus what customers owe.
    """
    time_zone = current_version(connection).programme.time_zone
    return [ExpiringMonth(**row._mapping) for row in connection.execute(_BY_MONTH, {"time_zone": time_zone})]
