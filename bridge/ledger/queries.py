"""Read balances and statements from the ledger. Nothing here takes a lock."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, Connection, Select, Text, any_, bindparam, case, func, or_, select, true

from bridge.ids import CustomerId
from bridge.ledger.postings import Transaction
from bridge.ledger.tables import dust_balance, dust_lot, dust_transaction


@dataclass(frozen=True, kw_only=True)
class Expiring:
    """Points that expire at `expires_at` unless they are spent before."""

    amount: int
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class PendingLot:
    """Points that become spendable at `matures_at`; None: when their order is paid."""

    amount: int
    matures_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Balance:
    """A customer's figures, in whole points.

    `available` is what may be spent now, and never below zero here.
    """

    customer_id: CustomerId
    balance: int = 0
    held: int = 0
    pending: int = 0
    expiring: tuple[Expiring, ...] = ()
    pending_lots: tuple[PendingLot, ...] = ()
    """Soonest first, those that wait for a payment last."""

    @property
    def available(self) -> int:
        return max(0, self.balance - self.held)


def read_points(connection: Connection, customer_id: CustomerId) -> int:
    """Return the balance alone; 0 for an unknown customer."""
    query = select(dust_balance.c.balance).where(dust_balance.c.customer_id == customer_id)
    return connection.scalar(query) or 0


def read_balance(connection: Connection, customer_id: CustomerId) -> Balance:
    """Return all figures; zeros for an unknown customer."""
    return read_balances(connection, [customer_id])[0]


def read_balances(connection: Connection, customer_ids: Sequence[CustomerId]) -> list[Balance]:
    """Like `read_balance`, for several customers, in the given sequence."""
    balances: dict[str, Balance] = {}
    for row in connection.execute(_BALANCES, {"customers": list(customer_ids)}):
        balance = balances.get(row.customer_id) or Balance(
            customer_id=CustomerId(row.customer_id), balance=row.balance, held=row.held, pending=row.pending
        )
        if row.matured:
            lot = Expiring(amount=int(row.amount), expires_at=row.moment)
            balance = replace(balance, expiring=(*balance.expiring, lot))
        elif row.matured is not None:
            pending = PendingLot(amount=int(row.amount), matures_at=row.moment)
            balance = replace(balance, pending_lots=(*balance.pending_lots, pending))
        balances[row.customer_id] = balance
    return [balances.get(customer_id) or Balance(customer_id=customer_id) for customer_id in customer_ids]


def _balances() -> Select[Any]:
    """Build the query: one row per customer and date of expiry or maturity. Built once, as it runs often."""
    figures, lots = dust_balance.c, dust_lot.c
    moment = case((lots.matured, lots.expires_at), else_=lots.matures_at).label("moment")
    dated = (
        select(lots.matured, moment, func.sum(lots.remaining - lots.held).label("amount"))
        .where(
            lots.customer_id == figures.customer_id,
            # Redundant, but lets Postgres use the index of open lots, so spent lots cost nothing.
            lots.remaining > 0,
            lots.remaining > lots.held,
            or_(~lots.matured, lots.expires_at.is_not(None)),
        )
        .group_by(lots.matured, moment)
        .lateral()
    )
    return (
        select(figures.customer_id, figures.balance, figures.held, figures.pending, *dated.c)
        .outerjoin_from(dust_balance, dated, true())
        .where(figures.customer_id == any_(bindparam("customers", type_=ARRAY(Text))))
        .order_by(figures.customer_id, dated.c.moment)
    )


_BALANCES = _balances()


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Totals of all customers, in whole points: owned, of that on hold, and pending."""

    customers: int
    outstanding: int
    held: int
    pending: int


def read_totals(connection: Connection) -> Totals:
    """Sum up all balances. Reads the whole table, so it is for operators, not for shoppers."""
    columns = dust_balance.c
    row = connection.execute(
        select(
            func.count().label("customers"),
            func.coalesce(func.sum(columns.balance), 0).label("outstanding"),
            func.coalesce(func.sum(columns.held), 0).label("held"),
            func.coalesce(func.sum(columns.pending), 0).label("pending"),
        )
    ).one()
    return Totals(**{name: int(value) for name, value in row._mapping.items()})


def read_expiring(connection: Connection, *, until: datetime) -> int:
    """Return all customers' points that expire up to `until`, unless they are spent before."""
    lots = dust_lot.c
    query = select(func.coalesce(func.sum(lots.remaining - lots.held), 0)).where(
        lots.remaining > lots.held, lots.matured, lots.expires_at <= until
    )
    return int(connection.scalar(query) or 0)


def read_transactions(
    connection: Connection, customer_id: CustomerId, *, limit: int, before_version: int | None = None, memos: bool
) -> list[Transaction]:
    """Return transactions, newest first. Without `memos`, only rows that changed the balance, as shoppers see them."""
    query = select(dust_transaction).where(dust_transaction.c.customer_id == customer_id)
    if before_version is not None:
        query = query.where(dust_transaction.c.version < before_version)
    if not memos:
        query = query.where(dust_transaction.c.amount != 0)
    rows = connection.execute(query.order_by(dust_transaction.c.version.desc()).limit(limit))
    return [Transaction.from_row(row) for row in rows]
