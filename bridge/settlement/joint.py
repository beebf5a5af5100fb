"""A customer's orders looked at together: limits on what they may earn in a day, or within a window of days.

What one order earns then depends on the others, so settling one may move others, up or down. To keep that the same
whatever comes in which order, settlements of one customer's orders wait for each other: a lock on the customer, taken
before any order's row, and only once there is a version of the rules that has such a limit.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, text, update

from bridge.bulk import among
from bridge.errors import Unavailable
from bridge.ids import CustomerId, OrderId
from bridge.ledger.merges import accounts_of_persons
from bridge.medusa.orders import Order
from bridge.programme.limits import Allowed, Claim, share_out
from bridge.programme.rules import Limits
from bridge.programme.versions import Version, versions_by_number
from bridge.settlement.tables import order_settlement

# What a customer reads of a row that takes dust back.
OVER_THE_LIMIT = "Over the limit with other orders"

_NONE = Limits()


class OrderMoves(Unavailable):
    """The order goes from one customer to another at this very moment; in a second it can be settled."""

    code = "order_moves"

    def __init__(self) -> None:
        super().__init__("An order is going to another customer just now.")


@dataclass(frozen=True, kw_only=True)
class OwnClaim:
    """The claim of an order that is being settled. `customers` are its owner and, if it moved, the one before."""

    claim: Claim
    owner: CustomerId | None
    customers: frozenset[CustomerId]


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Another order of the customer, which now gets more or less than is booked for it. Its row is locked."""

    row: Row[Any]
    version: Version
    allowed: Allowed


def lock_customers(connection: Connection, orders: Iterable[Order]) -> set[CustomerId]:
    """Wait for other settlements of these customers' orders; the customers, those before included."""
    orders = list(orders)
    known = select(order_settlement.c.customer_id).where(
        order_settlement.c.order_id.in_([order.id for order in orders]), order_settlement.c.customer_id.is_not(None)
    )
    named = {CustomerId(who) for who in connection.scalars(known)}
    named |= {order.customer_id for order in orders if order.customer_id}
    customers = {account for accounts in accounts_of_persons(connection, named).values() for account in accounts}
    # Everybody takes them in the order of the keys, so nobody waits in a circle.
    keys = sorted(_lock_key(customer) for customer in customers)
    lock = text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key")
    connection.execute(lock, {"keys": keys})
    return customers


def check_owners(connection: Connection, rows: Iterable[Row[Any]], locked: Collection[CustomerId]) -> None:
    """Now that the rows are locked: nobody owns one whom `lock_customers` has not seen. Raises `OrderMoves`."""
    for owner in {CustomerId(row.customer_id) for row in rows if row.customer_id} - set(locked):
        # Waiting for it, with rows already locked, could be waiting in a circle.
        if not connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _lock_key(owner)}):
            raise OrderMoves


def _lock_key(customer_id: CustomerId) -> int:
    return int.from_bytes(hashlib.sha256(f"settlement:{customer_id}".encode()).digest()[:8], signed=True)


def apply_limits(
    connection: Connection, own: Mapping[OrderId, OwnClaim], *, longest_days: int
) -> tuple[dict[OrderId, Allowed], list[Moved]]:
    """What the orders being settled get, and which others of their customers move because of it.

    An order that was placed before all of these is not concerned: it only counts, with what it has.
    """
    persons = accounts_of_persons(connection, {customer for each in own.values() for customer in each.customers})
    # Merged accounts are one customer here, under the first of their ids.
    one = {account: min(accounts) for accounts in persons.values() for account in accounts}
    since: dict[CustomerId, datetime] = {}
    for each in own.values():
        for customer in {one[customer] for customer in each.customers}:
            since[customer] = min(since.get(customer, each.claim.placed_at), each.claim.placed_at)
    others = _others(connection, one.keys(), since.values(), own.keys(), longest_days)
    versions = versions_by_number(connection, {row.programme_version for row in others})
    claims: dict[CustomerId, list[Claim]] = {customer: [] for customer in since}
    for each in own.values():
        if each.owner:
            claims[one[each.owner]].append(replace(each.claim, account=each.owner))
    for row in others:
        customer = one[CustomerId(row.customer_id)]
        fixed = row.placed_at < since[customer]
        claims[customer].append(_claim(row, _NONE if fixed else versions[row.programme_version].programme.earn.limits))
    merged_at: dict[str, datetime | None] = {
        account: at for accounts in persons.values() for account, at in accounts.items()
    }
    shares = {order_id: share for found in claims.values() for order_id, share in share_out(found, merged_at).items()}
    moved = {
        OrderId(row.order_id)
        for row in others
        if row.placed_at >= since[one[CustomerId(row.customer_id)]] and _differs(row, shares[row.order_id])
    }
    rows = _lock_moved(connection, moved)
    return (
        {order_id: shares[order_id] for order_id in own if order_id in shares},
        [Moved(row=row, version=versions[row.programme_version], allowed=shares[row.order_id]) for row in rows],
    )


def _others(
    connection: Connection,
    customers: Collection[CustomerId],
    since: Collection[datetime],
    own: Collection[OrderId],
    longest_days: int,
) -> list[Row[Any]]:
    if not customers:
        return []
    orders = order_settlement.c
    query = select(order_settlement).where(
        among(orders.customer_id, customers),
        orders.order_id.not_in(own),
        orders.programme_version.is_not(None),
        orders.placed_at > min(since) - timedelta(days=longest_days),
    )
    return list(connection.execute(query))


def _claim(row: Row[Any], limits: Limits) -> Claim:
    booked, account = row.booked - row.waived, row.customer_id
    if limits is _NONE or row.worth is None:
        # It counts with what it got, or it is from before its worth was remembered.
        return Claim(order_id=row.order_id, placed_at=row.placed_at, worth=booked, limits=_NONE, account=account)
    return Claim(order_id=row.order_id, placed_at=row.placed_at, worth=row.worth, limits=limits, account=account)


def _differs(row: Row[Any], share: Allowed) -> bool:
    return bool(share.dust != row.booked - row.waived)


def _lock_moved(connection: Connection, order_ids: Collection[OrderId]) -> list[Row[Any]]:
    if not order_ids:
        return []
    query = select(order_settlement).where(order_settlement.c.order_id.in_(order_ids))
    return list(connection.execute(query.order_by(order_settlement.c.order_id).with_for_update()))


def write_moved(connection: Connection, moved: Moved, *, booked: int, waived: int, now: datetime) -> None:
    """Remember what is booked for it now."""
    values = {"booked": booked, "waived": waived, "note": moved.allowed.why, "updated_at": now}
    connection.execute(update(order_settlement).where(order_settlement.c.order_id == moved.row.order_id).values(values))
