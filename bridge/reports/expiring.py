"""The points that expire in each month unless they are spent."""

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
    """The points that expire in one month (its first day), in whole points; `month` None: they never expire.

    `held` is the part of `dust` on hold for redemptions; `pending` is additional and has not matured yet.
    """

    month: date | None
    dust: int
    held: int
    pending: int
    customers: int


def expiring_by_month(connection: Connection) -> list[ExpiringMonth]:
    """Return all points by expiry month in the programme's time zone, the soonest first.

    The sum is the outstanding points plus what customers owe.
    """
    time_zone = current_version(connection).programme.time_zone
    return [ExpiringMonth(**row._mapping) for row in connection.execute(_BY_MONTH, {"time_zone": time_zone})]
