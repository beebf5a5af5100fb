"""What the programme owes, now or at any past moment, read from the books alone.

Every row of a book carries the figures after it, so a past moment is the newest row of each customer up to then. Rows
of one customer can carry times that are out of order by a moment, as two processes' clocks are: the version decides
what came before what.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, text

from bridge.programme.earning import discount_value
from bridge.programme.versions import version_at
from bridge.settlement.escrow import waited_at

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
class Liability:
    """Whole dust at one moment. `value` is what the outstanding dust could take off, by currency, at the rates of then.

    `movements` are the sums of all rows up to then by kind; together they are `outstanding - owed_by_customers`.
    `escrow` waits for guests and is nobody's yet, so it is no part of `outstanding`.
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
        """The accounting identity: what came in less what went out is what is there."""
        return sum(self.movements.values()) == self.outstanding - self.owed_by_customers


def liability(connection: Connection, at: datetime) -> Liability:
    """What was owed at `at`. The same question has the same answer for ever: rows are only added, with their time.

    A moment that is not over yet can still gain what is being committed just now.
    """
    figures = connection.execute(_FIGURES, {"at": at}).one()
    movements = {row.kind: row.dust for row in connection.execute(_MOVEMENTS, {"at": at})}
    version = version_at(connection, at)
    return Liability(
        at=at,
        outstanding=figures.outstanding,
        owed_by_customers=figures.owed_by_customers,
        held=figures.held,
        pending=figures.pending,
        escrow=waited_at(connection, at),
        customers=figures.customers,
        movements=movements,
        value=in_money(connection, figures.outstanding, at),
        programme_version=version.number,
    )


def in_money(connection: Connection, dust: int, at: datetime) -> dict[str, Decimal]:
    """What this much dust could take off, in major units by currency, at the rates of then."""
    rules = version_at(connection, at).programme.redeem
    return {code: discount_value(rules, dust, code) or Decimal(0) for code in sorted(rules.rates)}
