"""Limits across a customer's orders: what they may earn in a day, or within a window of days.

What one order earns then depends on the others, so settling one may change others. To make the result independent of
the sequence of events, settlements of one customer's orders wait for each other. They take a lock on the customer
before any order's row, once some version of the rules has such a limit.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from bridge.db.advisory_locks import lock_names, try_lock_name
from bridge.db.bulk import among
from bridge.errors import Unavailable
from bridge.ids import CustomerId, OrderId
from bridge.ledger.merges import Person, persons_of
from bridge.medusa.orders import Order
from bridge.programme.limits import Allowed, EarningRequest, Limits, apply_limits
from bridge.programme.rules import Programme
from bridge.programme.versions import Version, versions_by_number
from bridge.settlement.repository import SettlementRow, lock_rows, rows_of_customers
from bridge.settlement.shares import read_former_owners
from bridge.settlement.tables import order_former_owner, order_settlement

# Description, shown to the customer, of a transaction that takes points back.
OVER_THE_LIMIT = "Over the limit with other orders"

_NONE = Limits()


class OrderMoves(Unavailable):
    """The order is being transferred to another customer at this moment; it can be settled in a second."""

    code = "order_moves"
    message = "An order is going to another customer just now."


def lock_customers(connection: Connection, orders: Iterable[Order]) -> set[CustomerId]:
    """Lock these orders' customers against other settlements; return them, former owners included."""
    orders = list(orders)
    ids, former = [order.id for order in orders], order_former_owner.c
    known = select(order_settlement.c.customer_id).where(
        among(order_settlement.c.order_id, ids), order_settlement.c.customer_id.is_not(None)
    )
    known_formers = select(former.customer_id).where(among(former.order_id, ids))
    named = {CustomerId(customer_id) for customer_id in connection.scalars(known.union(known_formers))}
    named |= {order.customer_id for order in orders if order.customer_id}
    return lock_persons(connection, named)


def lock_persons(connection: Connection, customers: Collection[CustomerId]) -> set[CustomerId]:
    """Lock these customers, with all accounts of the same persons, against other settlements; return the accounts."""
    accounts = set(persons_of(connection, customers))
    lock_names(connection, map(_lock_name, accounts))
    return accounts


def check_owners(connection: Connection, rows: Iterable[SettlementRow], locked: Collection[CustomerId]) -> None:
    """Lock owners that `lock_customers` has not seen, once the rows are locked.

    Raises `OrderMoves` if another settlement holds the lock of one.
    """
    rows = list(rows)
    formers = read_former_owners(connection, [row.order_id for row in rows if row.former_share is not None])
    owners = {row.customer_id for row in rows} | {share.customer_id for shares in formers.values() for share in shares}
    for owner in {owner for owner in owners if owner} - set(locked):
        # Waiting for the lock while holding row locks could deadlock.
        if not try_lock_name(connection, _lock_name(owner)):
            raise OrderMoves


def _lock_name(customer_id: CustomerId) -> str:
    return f"settlement:{customer_id}"


@dataclass(frozen=True, kw_only=True)
class OwnOrder:
    """An order that is being settled. `customers` are its owner and its former owners."""

    order_id: OrderId
    placed_at: datetime
    customers: frozenset[CustomerId]


@dataclass(frozen=True, kw_only=True)
class KeptPoints:
    """Points that a former owner has of an order. They use up that customer's limits."""

    order_id: OrderId
    customer_id: CustomerId
    placed_at: datetime
    dust: int

    @property
    def request(self) -> EarningRequest:
        return EarningRequest(
            order_id=f"{self.order_id}/{self.customer_id}",
            placed_at=self.placed_at,
            worth=self.dust,
            limits=_NONE,
            account=self.customer_id,
        )


@dataclass(frozen=True, kw_only=True)
class LimitHistory:
    """What limits need to know of the other orders of a batch's customers."""

    persons: Mapping[CustomerId, Person]
    """By account."""
    since: Mapping[CustomerId, datetime]
    """By id of a person: when the first of their orders in the batch was placed. Earlier orders do not change."""
    orders: tuple[SettlementRow, ...]
    """The persons' orders, as far back as the longest limit reaches."""
    versions: Mapping[int, Version]
    kept: tuple[KeptPoints, ...] = ()
    """What they have of orders that went to other customers."""

    def is_fixed(self, row: SettlementRow) -> bool:
        """Whether the order was placed before all orders of the batch.

        It does not change then. The points that it holds use up the limit.
        """
        return row.placed_at is None or row.placed_at < self.since[self.persons[_owner(row)].id]


@dataclass(frozen=True, kw_only=True)
class LimitedOrder:
    """Another order of a customer that now earns more or less than is booked for it."""

    row: SettlementRow
    version: Version
    allowed: Allowed


def read_limit_history(
    connection: Connection, own: Collection[OwnOrder], *, longest_days: int, lock: bool
) -> LimitHistory:
    """Read the orders that limits across several orders compare with those in `own`.

    With `lock` it locks those that may change, by id.
    """
    customers = {customer for order in own for customer in order.customers}
    persons = persons_of(connection, customers)
    since: dict[CustomerId, datetime] = {}
    for order in own:
        for person in {persons[customer].id for customer in order.customers}:
            since[person] = min(since.get(person, order.placed_at), order.placed_at)
    history = LimitHistory(persons=persons, since=since, orders=(), versions={})
    if not persons:
        return history
    # One day more: a day on which clocks are set back has more than 24 hours.
    earliest = min(since.values()) - timedelta(days=longest_days + 1)
    rows = rows_of_customers(connection, persons, placed_after=earliest)
    if lock:
        own_ids = {order.order_id for order in own}
        may_change = [
            row.order_id
            for row in rows
            # What is still in escrow for a guest earns nothing here: a claim of it must not wait for these locks.
            if row.order_id not in own_ids and not history.is_fixed(row) and (row.share.net or _worth_left(row))
        ]
        locked = lock_rows(connection, may_change)
        rows = [locked.get(row.order_id, row) for row in rows]
        # An order may have gone to another customer before it was locked.
        rows = [row for row in rows if row.customer_id in persons]
    versions = versions_by_number(
        connection, {row.programme_version for row in rows if row.programme_version is not None}
    )
    kept = _read_kept_points(connection, persons, placed_after=earliest)
    return replace(history, orders=tuple(rows), versions=versions, kept=kept)


def _read_kept_points(
    connection: Connection, customers: Collection[CustomerId], *, placed_after: datetime
) -> tuple[KeptPoints, ...]:
    orders, former = order_settlement.c, order_former_owner.c
    query = (
        select(former.order_id, former.customer_id, orders.placed_at, (former.booked - former.not_taken).label("dust"))
        .join(order_settlement, orders.order_id == former.order_id)
        .where(
            among(former.customer_id, list(customers)),
            former.booked > former.not_taken,
            orders.placed_at > placed_after,
        )
    )
    return tuple(KeptPoints(**row._mapping) for row in connection.execute(query))


class LimitsOfBatch:
    """What the limits allow each order while a batch is computed, one order after the other."""

    def __init__(self, history: LimitHistory) -> None:
        self._history = history
        self._own: set[str] = set()
        self._requests: dict[CustomerId, dict[str, EarningRequest]] = {person: {} for person in history.since}
        self._allowed: dict[CustomerId, dict[str, Allowed]] = {}
        for row in history.orders:
            rules = None if history.is_fixed(row) else self._version(row).programme
            self._requests[history.persons[_owner(row)].id][row.order_id] = _earning_request(row, rules)
        self._kept: dict[str, list[EarningRequest]] = {}
        for kept in history.kept:
            self._add_kept(kept)

    def put(self, request: EarningRequest, owner: CustomerId | None, kept: Mapping[CustomerId, int]) -> None:
        """Set the request of an order of the batch, for its owner only, and what former owners keep of the order."""
        self._own.add(request.order_id)
        for replaced in (request, *self._kept.pop(request.order_id, ())):
            for person, requests in self._requests.items():
                if requests.pop(replaced.order_id, None):
                    self._allowed.pop(person, None)
        if owner:
            self._add(replace(request, account=owner))
        for customer_id, dust in kept.items():
            self._add_kept(
                KeptPoints(
                    order_id=OrderId(request.order_id),
                    customer_id=customer_id,
                    placed_at=request.placed_at,
                    dust=dust,
                )
            )

    def _add(self, request: EarningRequest) -> None:
        person = self._history.persons[request.account].id
        self._requests[person][request.order_id] = request
        self._allowed.pop(person, None)

    def _add_kept(self, kept: KeptPoints) -> None:
        self._kept.setdefault(kept.order_id, []).append(kept.request)
        self._add(kept.request)

    def allowed_by_order(self, customer_id: CustomerId) -> dict[str, Allowed]:
        """Return what each of the customer's known orders may earn."""
        person = self._history.persons[customer_id]
        if person.id not in self._allowed:
            self._allowed[person.id] = apply_limits(self._requests[person.id].values(), person.merged_at)
        return self._allowed[person.id]

    def others_that_change(self) -> list[LimitedOrder]:
        """Return the orders without `put` that get more or less than is booked, by id."""
        history = self._history
        changing = []
        for row in sorted(history.orders, key=lambda row: row.order_id):
            if row.order_id not in self._own and not history.is_fixed(row):
                allowed = self.allowed_by_order(_owner(row))[row.order_id]
                if allowed.dust != row.share.net:
                    changing.append(LimitedOrder(row=row, version=self._version(row), allowed=allowed))
        return changing

    def _version(self, row: SettlementRow) -> Version:
        return self._history.versions[row.programme_version or 0]


def _owner(row: SettlementRow) -> CustomerId:
    if row.customer_id is None:
        raise AssertionError("an order without an owner")
    return row.customer_id


def _worth_left(row: SettlementRow) -> int:
    """Return the order's worth without what former owners keep and what is in escrow for a guest."""
    return max(0, row.worth - (row.former_share or 0) - row.escrowed)


def _earning_request(row: SettlementRow, rules: Programme | None) -> EarningRequest:
    # Without rules the order counts with what it holds.
    if row.placed_at is None:
        raise AssertionError("a settled order without a time")
    return EarningRequest(
        order_id=row.order_id,
        placed_at=row.placed_at,
        worth=_worth_left(row) if rules else row.share.net,
        limits=rules.earn.limits if rules else _NONE,
        time_zone=rules.time_zone if rules else "UTC",
        account=_owner(row),
    )
