"""What happened to the points issued in each month. Accountants call the share that expired unspent breakage."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import Connection, text

_BY_MONTH = text(
    """
    WITH lots AS (
        SELECT l.customer_id, l.id, l.remaining, l.origin_version,
               -- What came over from another account was issued there; it kept its date.
               CASE WHEN o.kind IN ('merge', 'unmerge', 'transfer') THEN 0 ELSE l.amount END AS amount,
               date_trunc('month', l.created_at AT TIME ZONE 'UTC')::date AS month
        FROM dust_lot l
        JOIN dust_transaction o ON o.customer_id = l.customer_id AND o.version = l.origin_version
    ), uses AS (
        SELECT l.month,
               -- An earning or a bonus that changes an older lot restores what a reversal took.
               -sum(u.remaining) FILTER (WHERE t.kind IN ('redeem', 'refund')) AS spent,
               -sum(u.remaining) FILTER (WHERE t.kind IN ('reverse', 'earn', 'bonus')) AS taken_back,
               -sum(u.remaining) FILTER (WHERE t.kind = 'expire') AS expired
        FROM lots l
        JOIN dust_lot_use u ON u.customer_id = l.customer_id AND u.lot_id = l.id AND u.version <> l.origin_version
        JOIN dust_transaction t ON t.customer_id = u.customer_id AND t.version = u.version
        WHERE u.remaining <> 0 GROUP BY l.month
    )
    SELECT month, issued::bigint, coalesce(spent, 0)::bigint AS spent, coalesce(taken_back, 0)::bigint AS taken_back,
           coalesce(expired, 0)::bigint AS expired, remaining::bigint
    FROM (SELECT month, sum(amount) AS issued, sum(remaining) AS remaining FROM lots GROUP BY month) issued
    LEFT JOIN uses USING (month) ORDER BY month
    """
)


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """The points issued in one month (its first day), in whole points, and what happened to them.

    `spent` is less what returns gave back, `taken_back` what reversals took, and `remaining` what is left or pending.
    `other` is the difference: manual corrections, and payments of a balance below zero.
    """

    month: date
    issued: int
    spent: int
    taken_back: int
    expired: int
    remaining: int

    @property
    def other(self) -> int:
        return self.issued - self.spent - self.taken_back - self.expired - self.remaining

    @property
    def breakage(self) -> Decimal:
        """The expired share of what was issued and not taken back, with four decimal places."""
        kept = self.issued - self.taken_back
        return (Decimal(self.expired) / kept).quantize(Decimal("0.0001")) if kept > 0 else Decimal(0)


def breakage(connection: Connection) -> list[Cohort]:
    """Return every month in which points were issued, oldest first."""
    return [Cohort(**row._mapping) for row in connection.execute(_BY_MONTH)]
