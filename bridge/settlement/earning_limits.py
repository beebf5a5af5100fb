"""Limits across a customer's orders: what they may earn in a day, or within a window of days.

What one order earns then depends on the others, so settling one may change others. To make the result independent of
the sequence of events, settlements of one customer's orders wait for each other. They take a lock on the customer
before any order's row, once some version of the rules has such a limit.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, text, update

from bridge.db.bulk import among
from bridge.errors import Unavailable
from bridge.ids import CustomerId, OrderId
from bridge.ledger.merges import accounts_of_persons
from bridge.medusa.orders import Order
from bridge.programme.limits import Allowed, Claim, share_out
from bridge.programme.rules import Limits, Programme
from bridge.programme.versions import Version, versions_by_number
from bridge.settlement.shares import Share
from bridge.settlement.tables import order_settlement

# Description, shown to the customer, of a transaction that takes points back.
OVER_THE_LIMIT = "Over the limit with other orders"

_NONE = Limits()


class OrderMoves(Unavailable):
    """The order is being transferred to another customer at this moment; it can be settled in a second."""

    code = "order_moves"

    def __init__(self) -> None:
        super().__init__("An order is going to another customer just now.")


@dataclass(kw_only=True)
class Moved:
    """Another order of the customer that now earns more or less than is booked for it. Its row is locked."""

    row: Row[Any]
    version: Version
    allowed: Allowed
    taken: Mapping[CustomerId, Mapping[str, int]] = field(default_factory=dict)
    """What reversals of it took from the customer's lots."""


def lock_customers(connection: Connection, orders: Iterable[Order]) -> set[CustomerId]:
    """Lock these orders' customers against other settlements; return them, former owners included."""
    orders = list(orders)
    known = select(order_settlement.c.customer_id).where(
        order_settlement.c.order_id.in_([order.id for order in orders]), order_settlement.c.customer_id.is_not(None)
    )
    named = {CustomerId(who) for who in connection.scalars(known)}
    named |= {order.customer_id for order in orders if order.customer_id}
    customers = {account for accounts in accounts_of_persons(connection, named).values() for account in accounts}
    # Every process locks in the order of the keys, so there is no deadlock.
    keys = sorted(_lock_key(customer) for customer in customers)
    lock = text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key")
    connection.execute(lock, {"keys": keys})
    return customers


def check_owners(connection: Connection, rows: Iterable[Row[Any]], locked: Collection[CustomerId]) -> None:
    """Lock owners that `lock_customers` has not seen, once the rows are locked.

    Raises `OrderMoves` if another settlement holds the lock of one.
    """
    for owner in {CustomerId(row.customer_id) for row in rows if row.customer_id} - set(locked):
        # Waiting for the lock while holding row locks could deadlock.
        if not connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _lock_key(owner)}):
            raise OrderMoves


def _lock_key(customer_id: CustomerId) -> int:
    return int.from_bytes(hashlib.sha256(f"settlement:{customer_id}".encode()).digest()[:8], signed=True)


@dataclass(frozen=True, kw_only=True)
class OwnOrder:
    """An order that is being settled. `customers` are its owner and, if it moved, the one before."""

    order_id: OrderId
    placed_at: datetime
    customers: frozenset[CustomerId]


class LimitsOfBatch:
    """What the limits allow each order while a batch is settled, one order after the other.

    Orders placed before all orders of the batch do not change: they only count, with what they hold.
    """

    def __init__(self, connection: Connection, own: Collection[OwnOrder], *, longest_days: int) -> None:
        customers = {customer for each in own for customer in each.customers}
        accounts_of = list(accounts_of_persons(connection, customers).values())
        # Merged accounts are one customer here, under the smallest of their ids. The batch may name only another one of
        # them.
        self._one = {account: min(accounts) for accounts in accounts_of for account in accounts}
        self._merged_at = {min(accounts): accounts for accounts in accounts_of}
        self._since: dict[CustomerId, datetime] = {}
        for each in own:
            for person in {self._one[customer] for customer in each.customers}:
                self._since[person] = min(self._since.get(person, each.placed_at), each.placed_at)
        self._rows = _orders_of(connection, self._one.keys(), self._since.values(), longest_days)
        self._versions = versions_by_number(connection, {row.programme_version for row in self._rows})
        self._own = {each.order_id for each in own}
        self._claims: dict[CustomerId, dict[str, Claim]] = {person: {} for person in self._since}
        self._shares: dict[CustomerId, dict[str, Allowed]] = {}
        for row in self._rows:
            person = self._one[CustomerId(row.customer_id)]
            fixed = row.placed_at < self._since[person]
            rules = None if fixed else self._versions[row.programme_version].programme
            self._claims[person][row.order_id] = _claim(row, rules)

    def put(self, claim: Claim, owner: CustomerId | None) -> None:
        """Set the order's claim, for its owner only."""
        for person, claims in self._claims.items():
            if claims.pop(claim.order_id, None):
                self._shares.pop(person, None)
        if owner:
            person = self._one[owner]
            self._claims[person][claim.order_id] = replace(claim, account=owner)
            self._shares.pop(person, None)

    def shares(self, customer_id: CustomerId) -> dict[str, Allowed]:
        """Return what each of the customer's known orders gets."""
        person = self._one[customer_id]
        if person not in self._shares:
            merged_at: dict[str, datetime | None] = dict(self._merged_at[person].items())
            self._shares[person] = share_out(self._claims[person].values(), merged_at)
        return self._shares[person]

    def lock_moved(self, connection: Connection) -> list[Moved]:
        """Lock and return the other orders that get more or less than is booked. Call after `put` for all orders."""
        shares = {order_id: share for person in self._since for order_id, share in self.shares(person).items()}
        moved = {
            OrderId(row.order_id)
            for row in self._rows
            if row.order_id not in self._own
            and row.placed_at >= self._since[self._one[CustomerId(row.customer_id)]]
            and _differs(row, shares[row.order_id])
        }
        return [
            Moved(row=row, version=self._versions[row.programme_version], allowed=shares[row.order_id])
            for row in _lock_moved(connection, moved)
        ]


def _orders_of(
    connection: Connection, customers: Collection[CustomerId], since: Collection[datetime], longest_days: int
) -> list[Row[Any]]:
    if not customers:
        return []
    orders = order_settlement.c
    query = select(order_settlement).where(
        among(orders.customer_id, customers),
        orders.programme_version.is_not(None),
        orders.placed_at > min(since) - timedelta(days=longest_days),
    )
    return list(connection.execute(query))


def _claim(row: Row[Any], rules: Programme | None) -> Claim:
    # What former owners keep, and what is in escrow for a guest, is not available to the customer of the row.
    worth = max(0, (row.worth or 0) - (row.former_share or 0) - row.escrowed)
    # Without rules the order counts with what it holds. So does an order settled before `worth` was stored.
    as_booked = rules is None or row.worth is None
    return Claim(
        order_id=row.order_id,
        placed_at=row.placed_at,
        worth=row.booked - row.waived if as_booked else worth,
        limits=rules.earn.limits if rules and not as_booked else _NONE,
        time_zone=rules.time_zone if rules else "UTC",
        account=row.customer_id,
    )


def _differs(row: Row[Any], share: Allowed) -> bool:
    return bool(share.dust != row.booked - row.waived)


def _lock_moved(connection: Connection, order_ids: Collection[OrderId]) -> list[Row[Any]]:
    if not order_ids:
        return []
    query = select(order_settlement).where(order_settlement.c.order_id.in_(order_ids))
    return list(connection.execute(query.order_by(order_settlement.c.order_id).with_for_update()))


def write_moved(connection: Connection, moved: Moved, share: Share, *, now: datetime) -> None:
    """Store what is now booked for the order."""
    values = {
        "booked": share.booked,
        "waived": share.waived,
        "expired": share.expired,
        "taken_back": share.taken_back,
        "note": moved.allowed.why,
        "updated_at": now,
    }
    connection.execute(update(order_settlement).where(order_settlement.c.order_id == moved.row.order_id).values(values))
