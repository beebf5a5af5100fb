"""Preview what settling an order as it would be changes, by settling it and undoing that."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from bridge.ids import CustomerId
from bridge.ledger.postings import Kind
from bridge.ledger.statements import Balance, read_balance
from bridge.ledger.tables import dust_balance, dust_transaction
from bridge.medusa.orders import Order
from bridge.settlement.facts import read_revisions
from bridge.settlement.settle import settle_orders


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a change of an order would do to its customer's points. All amounts are 0 or more, in whole points."""

    customer_id: CustomerId | None
    earned_taken_back: int
    earned_added: int
    """Points that the order earns in addition, for example if limits allow its customer more."""
    spent_given_back: int
    spent_added: int
    before: Balance
    after: Balance
    note: str | None
    """Why the order earns nothing, or less than it is worth; None if there is nothing to say."""


def preview_order(connection: Connection, order: Order, *, now: datetime) -> Preview:
    """Settle the order as it would be, read what that gives, and undo it. The locks end with the transaction."""
    savepoint = connection.begin_nested()
    settled = settle_orders(connection, [order], now=now, asked=read_revisions(connection, [order.id]))[order.id]
    customer_id = settled.customer_id or CustomerId("")
    after = read_balance(connection, customer_id)
    postings = _postings(connection, customer_id)
    savepoint.rollback()
    before, known = read_balance(connection, customer_id), _postings(connection, customer_id)
    amounts: Counter[str] = Counter()
    for version in postings.keys() - known.keys():
        kind, amount = postings[version]
        amounts[kind] += amount
    return Preview(
        customer_id=settled.customer_id,
        earned_taken_back=-amounts[Kind.REVERSE],
        earned_added=amounts[Kind.EARN],
        spent_given_back=amounts[Kind.REFUND],
        spent_added=-amounts[Kind.REDEEM],
        before=before,
        after=after,
        note=settled.note,
    )


def _postings(connection: Connection, customer_id: CustomerId) -> dict[int, tuple[str, int]]:
    """Return kind and amount of the customer's newest postings, by version: more than one settlement can make."""
    columns = dust_transaction.c
    newest = select(dust_balance.c.version).where(dust_balance.c.customer_id == customer_id).scalar_subquery()
    query = select(columns.version, columns.kind, columns.amount).where(
        columns.customer_id == customer_id, columns.version > newest - 200
    )
    return {row.version: (row.kind, row.amount) for row in connection.execute(query)}
