"""The programme's liability, now or at any past moment, read from the ledger alone.

Every ledger row has the figures after it, so the state at a past moment is each customer's newest row up to then. Times
of one customer's rows can be slightly out of sequence, because two processes' clocks differ: the version gives the
sequence.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, text

from bridge.db.rows import TypedRow
from bridge.programme.spending import discount_value
from bridge.programme.versions import version_at
from bridge.settlement.escrow import escrowed_at

_FIGURES = text(
    """
    WITH newest AS (
        SELECT customer_id, max(version) AS version FROM dust_transaction WHERE created_at <= :at GROUP BY customer_id)
    SELECT coalesce(sum(balance_after) FILTER (WHERE balance_after > 0), 0)::bigint AS outstanding,
           coalesce(-sum(balance_after) FILTER (WHERE balance_after < 0), 0)::bigint AS owed_by_customers,
           coalesce(sum(held_after), 0)::bigint AS held,
           coalesce(sum(pending_after), 0)::bigint AS pending,
           count(*) FILTER (WHERE balance_after <> 0 OR pending_after <> 0) AS customers
    FROM dust_transaction JOIN newest USING (customer_id, version)
    """
)
_MOVEMENTS = text(
    """
    WITH newest AS (
        SELECT customer_id, max(version) AS version FROM dust_transaction WHERE created_at <= :at GROUP BY customer_id)
    SELECT t.kind, sum(t.amount)::bigint AS dust
    FROM dust_transaction t JOIN newest ON t.customer_id = newest.customer_id AND t.version <= newest.version
    WHERE t.amount <> 0 GROUP BY t.kind
    """
)


@dataclass(frozen=True, kw_only=True)
class Liability(TypedRow):
    """The liability at one moment, in whole points.

    `value` is the discount that the outstanding points could give, by currency, at the rates of that moment.
    `movements` are the sums of all rows up to then by kind; together they are `outstanding - owed_by_customers`.
    `escrow` is held for guests and belongs to no customer yet, so it is not part of `outstanding`.
    """

    at: datetime
    outstanding: int
    owed_by_customers: int
    held: int
    pending: int
    escrow: int
    customers: int
    movements: Mapping[str, int]
    value: Mapping[str, Decimal]
    programme_version: int

    @property
    def adds_up(self) -> bool:
        """Check the accounting identity: what came in less what went out is what is there."""
        return sum(self.movements.values()) == self.outstanding - self.owed_by_customers


def liability(connection: Connection, at: datetime) -> Liability:
    """Return the liability at `at`.

    The result for a past moment never changes: rows are only added, with their time. A moment that is not over yet can
    still gain rows that are being committed.
    """
    figures = connection.execute(_FIGURES, {"at": at}).one()
    movements = {row.kind: row.dust for row in connection.execute(_MOVEMENTS, {"at": at})}
    version = version_at(connection, at)
    rules = version.programme.redeem
    return Liability.from_row(
        figures,
        at=at,
        escrow=escrowed_at(connection, at),
        movements=movements,
        value={code: discount_value(rules, figures.outstanding, code) or Decimal(0) for code in sorted(rules.rates)},
        programme_version=version.number,
    )
