"""Expired points: which of them an order may count as gone when it is returned or canceled.

Expired points are not taken a second time. Usually they come from the order's own lots. But when an order is canceled
whose points are spent or on hold, points of other orders are taken. If its own points come back later, they replace
those; when they expire, the other orders may count them:

    orders A and B earn 100 each; 100 points of A are spent; A is canceled and takes the points of B
    the spend is canceled: 100 points of A are there again, and expire
    B is canceled: its 100 points have expired, although its own lot did not
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, select, text, union_all

from bridge.db.bulk import among
from bridge.ids import CustomerId
from bridge.ledger.account import Account
from bridge.ledger.store import expired_of_orders
from bridge.ledger.tables import customer_merge
from bridge.settlement.shares import Share
from bridge.settlement.tables import order_former_owner, order_settlement


@dataclass(kw_only=True)
class ExpiredPool:
    """The expired points of one customer's orders."""

    account: Account
    """The customer's account; its `expired` covers all orders."""
    net: Counter[str] = field(default_factory=Counter)
    """By order: what the customer should have of it, which is the most they may still lose."""
    counted: Counter[str] = field(default_factory=Counter)
    """By order: the expired points counted so far."""
    orders: set[str] = field(default_factory=set)

    def update(self, order_id: str, share: Share) -> None:
        """Set the customer's current share of an order."""
        self.orders.add(order_id)
        self.net[order_id], self.counted[order_id] = share.net, share.expired

    def countable_for(self, order_id: str) -> int:
        """Return how many expired points the order may count.

        These are its own, and those of other orders beyond what those orders can still lose.
        """
        countable = 0
        for other in self.orders | {order_id}:
            uncounted = self.account.expired[other] - self.counted[other]
            may_still_need = 0 if other == order_id else max(0, min(uncounted, self.net[other]))
            countable += uncounted - may_still_need
        return max(0, countable)


def read_pools(
    connection: Connection, accounts: Mapping[CustomerId, Account], *, now: datetime
) -> dict[CustomerId, ExpiredPool]:
    """Return the pools of customers whose points from orders have expired or are due to.

    The accounts must be open with lots. Merged accounts have no pool: their orders and their lots belong to different
    customers.
    """
    expired = expired_of_orders(connection, accounts)
    due = {
        customer_id
        for customer_id, account in accounts.items()
        if any(lot.expired(now) for lot in account.lots.values())
    }
    customers = expired.keys() | due
    pools = {}
    for customer_id in customers - _merged(connection, customers):
        account = accounts[customer_id]
        account.expired.update(Counter(expired.get(customer_id, {})) - account.expired)
        orders = {lot.source_id for lot in account.lots.values() if lot.source_type == "order"}
        pools[customer_id] = ExpiredPool(account=account, orders=orders | expired.get(customer_id, {}).keys())
    _add_shares(connection, pools)
    return pools


def _merged(connection: Connection, customers: Collection[CustomerId]) -> set[CustomerId]:
    if not customers:
        return set()
    merge = customer_merge.c
    query = union_all(
        select(merge.customer_id).where(among(merge.customer_id, list(customers))),
        select(merge.survivor_id).where(among(merge.survivor_id, list(customers))),
    )
    return {CustomerId(customer_id) for customer_id in connection.scalars(query)}


def _add_shares(connection: Connection, pools: Mapping[CustomerId, ExpiredPool]) -> None:
    if not pools:
        return
    for table in (order_settlement, order_former_owner):
        columns = table.c
        query = select(columns.customer_id, columns.order_id, columns.booked, columns.not_taken, columns.expired).where(
            among(columns.customer_id, list(pools)), text("(booked > not_taken OR expired > 0)")
        )
        for row in connection.execute(query):
            pool = pools[CustomerId(row.customer_id)]
            pool.orders.add(row.order_id)
            pool.net[row.order_id] += row.booked - row.not_taken
            pool.counted[row.order_id] += row.expired
