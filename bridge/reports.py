"""What the programme owes, now or at any past moment, read from the books alone.

Every row of a book carries the figures after it, so a past moment is the newest row of each customer up to then.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, text

from bridge.programme.versions import version_at
from bridge.programme.worth import discount_value
from bridge.settlement.escrow import waited_at

_FIGURES = text(
    """
    SELECT coalesce(sum(balance_after) FILTER (WHERE balance_after > 0), 0)::bigint AS outstanding,
           coalesce(-sum(balance_after) FILTER (WHERE balance_after < 0), 0)::bigint AS owed_by_customers,
           coalesce(sum(held_after), 0)::bigint AS held,
           coalesce(sum(pending_after), 0)::bigint AS pending,
           count(*) FILTER (WHERE balance_after <> 0 OR pending_after <> 0) AS customers
    FROM (SELECT DISTINCT ON (customer_id) balance_after, held_after, pending_after
          FROM dust_transaction WHERE created_at <= :at ORDER BY customer_id, version DESC) newest
    """
)
_MOVEMENTS = text(
    "SELECT kind, sum(amount)::bigint AS dust FROM dust_transaction"
    " WHERE created_at <= :at AND amount <> 0 GROUP BY kind"
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
    movements: dict[str, int]
    value: dict[str, Decimal]
    programme_version: int

    @property
    def adds_up(self) -> bool:
        """The accounting identity: what came in less what went out is what is there."""
        return sum(self.movements.values()) == self.outstanding - self.owed_by_customers


def liability(connection: Connection, at: datetime) -> Liability:
    """What was owed at `at`. The same question has the same answer for ever: rows are only added, with their time."""
    figures = connection.execute(_FIGURES, {"at": at}).one()
    movements = {row.kind: row.dust for row in connection.execute(_MOVEMENTS, {"at": at})}
    version = version_at(connection, at)
    rules = version.programme.redeem
    return Liability(
        at=at,
        outstanding=figures.outstanding,
        owed_by_customers=figures.owed_by_customers,
        held=figures.held,
        pending=figures.pending,
        escrow=waited_at(connection, at),
        customers=figures.customers,
        movements=movements,
        value={code: discount_value(rules, figures.outstanding, code) or Decimal(0) for code in sorted(rules.rates)},
        programme_version=version.number,
    )
