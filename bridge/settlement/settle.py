"""Settle orders to their target: the one code path for webhooks, reconcile, backfill and an operator's retry.

    target  = what the programme version of the order's first settlement gives for the order as it now is
    booked  = what the ledger holds for it
    post      target - booked, in the transaction that also remembers these facts

    load      lock and read what decides, see `load.py`
    compute   the target of each order, without a database, see `compute.py`
    insert    the rows of orders that had none; if another transaction was first, load again
    write     post the differences and update the other rows, see `write.py`

A guest's order has no customer to book it for; its points are held in `guest_escrow` instead, see `escrow.py`.

Settlement locks in this order: order_settlement, guest_escrow, dust_redemption, other orders of the customers under
limits, referral, dust_balance, cart_forecast; each by id. Those other orders are locked late, which is safe because the
customers were locked before any order. The order of all tables is `ORDER` in `tests/support/locks.py`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from bridge.ids import CustomerId, OrderId
from bridge.ledger.postings import Posting
from bridge.medusa.orders import Order
from bridge.programme.versions import longest_limit_window
from bridge.settlement.compute import BatchPlan, OrderPlan, compute
from bridge.settlement.earning_limits import check_owners, lock_customers
from bridge.settlement.facts import name_differences, newest_facts
from bridge.settlement.late_facts import store_first_uses
from bridge.settlement.load import Loaded, load
from bridge.settlement.order_row import order_note
from bridge.settlement.repository import SettlementRow, lock_rows
from bridge.settlement.write import insert_first_rows, write


@dataclass(frozen=True, kw_only=True)
class Settled:
    """The result of settling one order. Amounts are in points.

    `stale` means that newer facts had been settled before, so nothing was done. `unclear` are facts that were left out,
    because only Medusa can tell whether they count. `differences` say how the state before differs from Medusa's
    answer, if Medusa was asked.
    """

    order_id: OrderId
    customer_id: CustomerId | None
    booked: int
    not_taken: int = 0
    change: int = 0
    stale: bool = False
    note: str | None = None
    unclear: tuple[Order, ...] = ()
    differences: tuple[str, ...] = ()


def settle_orders(
    connection: Connection,
    orders: Iterable[Order],
    *,
    now: datetime,
    quiet: Collection[str] = (),
    asked: Mapping[OrderId, int] | None = None,
) -> dict[OrderId, Settled]:
    """Bring the ledger to what these orders, as they are now, should hold. Takes any number of orders.

    The result is the same as if they were settled one by one in the given sequence. The sequence matters for tiers:
    what an order earns depends on the tier reached by the orders settled before it.

    No outgoing webhook is sent for the `quiet` ones. `asked` are orders just read from Medusa, each with the revision
    that its row had before that request (see `read_revisions`). If the revision is still the same, the order is taken
    without comparing its age; otherwise it is compared like a webhook's.
    """
    return settle_and_return_postings(connection, orders, now=now, quiet=quiet, asked=asked)[0]


def settle_and_return_postings(
    connection: Connection,
    orders: Iterable[Order],
    *,
    now: datetime,
    quiet: Collection[str] = (),
    asked: Mapping[OrderId, int] | None = None,
) -> tuple[dict[OrderId, Settled], tuple[Posting, ...]]:
    """Like `settle_orders`; return what was posted too."""
    facts = list(orders)
    if not facts:
        return {}, ()
    inserted = _plan_and_insert(connection, facts, asked or {}, quiet=quiet, now=now)
    result = write(connection, inserted.loaded, inserted.plan, quiet=quiet, now=now)
    store_first_uses(connection, inserted.outdated, now=now)
    written = {plan.order_id: plan for plan in result.orders}
    settled = {
        order_id: _result(written[order_id], inserted.unclear_of(order_id))
        if order_id in written
        else _stale(inserted.rows[order_id], inserted.unclear_of(order_id))
        for order_id in [*inserted.rows.keys() - written.keys(), *written]
    }
    return settled, result.postings


@dataclass(frozen=True, kw_only=True)
class _Inserted:
    """A batch whose rows all exist and are locked. Nothing is posted yet."""

    rows: Mapping[OrderId, SettlementRow]
    """As they were before."""
    unclear: Mapping[OrderId, list[Order]]
    outdated: list[Order]
    loaded: Loaded
    plan: BatchPlan

    def unclear_of(self, order_id: OrderId) -> tuple[Order, ...]:
        return tuple(self.unclear.get(order_id, ()))


def _plan_and_insert(
    connection: Connection, facts: list[Order], asked: Mapping[OrderId, int], *, quiet: Collection[str], now: datetime
) -> _Inserted:
    """Load, compute, and insert the rows of orders that had none, until no other transaction is first."""
    longest_limit_days = longest_limit_window(connection)
    locked = lock_customers(connection, facts) if longest_limit_days else set()
    while True:
        savepoint = connection.begin_nested()
        rows = lock_rows(connection, {order.id for order in facts})
        if longest_limit_days:
            check_owners(connection, rows.values(), locked)
        newest, unclear, outdated = newest_facts(rows, facts, asked)
        loaded = load(connection, newest, rows, asked=asked, longest_limit_days=longest_limit_days, now=now)
        plan = compute(loaded, now=now)
        if insert_first_rows(connection, plan, quiet=quiet, now=now):
            savepoint.commit()
            return _Inserted(rows=rows, unclear=unclear, outdated=outdated, loaded=loaded, plan=plan)
        # Another transaction has settled one of them for the first time since we looked. Its row exists now, and its
        # facts count. The rollback releases the locks too, so the lock order is kept.
        savepoint.rollback()


def _result(plan: OrderPlan, unclear: tuple[Order, ...]) -> Settled:
    loaded, shares = plan.loaded, plan.shares
    before = loaded.row.booked + sum(share.booked for share in loaded.former_owners)
    differences: tuple[str, ...] = ()
    if loaded.from_medusa:
        differences = name_differences(loaded.row, loaded.order, booked=shares.own.booked, escrowed=plan.escrowed)
    return Settled(
        order_id=plan.order_id,
        customer_id=plan.owner or loaded.order.customer_id,
        booked=shares.own.booked,
        not_taken=shares.own.not_taken,
        change=shares.booked - before,
        note=order_note(plan),
        unclear=unclear,
        differences=differences,
    )


def _stale(row: SettlementRow, unclear: tuple[Order, ...]) -> Settled:
    return Settled(
        order_id=row.order_id,
        customer_id=row.customer_id,
        booked=row.booked,
        not_taken=row.not_taken,
        stale=True,
        note="Newer facts of this order were settled before.",
        unclear=unclear,
    )
