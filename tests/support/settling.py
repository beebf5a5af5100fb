"""Settle orders, set the programme's rules, and read what a customer has."""

from typing import Any

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId
from bridge.ledger.queries import Balance, read_balance, read_transactions
from bridge.medusa.orders import read_order
from bridge.programme.rules import Programme
from bridge.programme.versions import add_version
from bridge.settlement.facts import read_revisions
from bridge.settlement.settle import Settled, settle_orders
from tests.support.orders import line, order

# Points of an order of 10 eur under `have_rules`.
WORTH = 1000


def settle(*documents: dict[str, Any], asked: bool = False) -> dict[Any, Settled]:
    """Settle Medusa's order documents in one transaction, without the inbox. `asked`: they are Medusa's own answers."""
    orders = [read_order(document) for document in documents]
    with transaction() as connection:
        revisions = read_revisions(connection, [order.id for order in orders]) if asked else {}
        return settle_orders(connection, orders, now=now(), asked=revisions)


def balance(customer_id: str = "cus_1") -> Balance:
    with transaction() as connection:
        return read_balance(connection, CustomerId(customer_id))


def history(customer_id: str = "cus_1") -> list[tuple[str, int]]:
    """Kind and amount of each ledger row, oldest first."""
    with transaction() as connection:
        rows = read_transactions(connection, CustomerId(customer_id), limit=100, memos=True)
    return [(row.kind, row.amount) for row in reversed(rows)]


def set_rules(**changes: Any) -> None:
    """Save a new version of the programme with these parts; the others have their defaults."""
    with transaction() as connection:
        add_version(connection, Programme.model_validate(changes), author="test", now=now())


def booked_points() -> dict[str, int]:
    """Points that each order has in the ledger."""
    with transaction() as connection:
        rows = connection.exec_driver_sql("SELECT order_id, booked - not_taken FROM order_settlement ORDER BY 1")
        return {row[0]: row[1] for row in rows}


def have_rules(policy: str = "allow", **earn: Any) -> None:
    """100 points per euro, and this policy for negative balances."""
    set_rules(earn={"rates": {"eur": "100"}, **earn}, reversal={"negative_balance": policy})


def order_of(customer_id: str, version: int, *, price: float = 10, **more: Any) -> dict[str, Any]:
    """A version of one order, which belongs to this customer."""
    return order(customer_id=customer_id, version=version, lines=[line(price=price)], **more)
