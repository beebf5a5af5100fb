"""Process waiting events in batches of up to 500, with one transaction for the orders of a batch.

An event that needs a call to Medusa, or that fails here for any reason, is split off into its own task. There it delays
no other event, and an operator sees exactly which event failed. No event is marked as failed here: a failed event is
always a failed task.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Row, bindparam, select, update

from bridge.clock import now
from bridge.db import DatabaseBusy, each_alone, transaction
from bridge.db.bulk import among
from bridge.errors import Unavailable
from bridge.ids import OrderId
from bridge.inbox.customers import needs_medusa
from bridge.inbox.events import concerns_order, metric_label, read_stored_order
from bridge.inbox.process_one import ProcessedEvent, describe, mark_handled, process_without_medusa
from bridge.inbox.tables import QUIET_SOURCE, EventState, webhook_event
from bridge.medusa.orders import Order
from bridge.observability.metrics import EVENTS_HANDLED
from bridge.observability.tracing import span
from bridge.programme.versions import current_version
from bridge.settlement.facts import age, must_be_settled_before
from bridge.settlement.settle import settle_orders

log = structlog.get_logger(__name__)

BATCH_SIZE = 500
_DUE = (
    select(
        *(webhook_event.c[name] for name in ("id", "type", "subject", "source", "event_at", "payload", "traceparent"))
    )
    .where(webhook_event.c.state == EventState.PENDING, webhook_event.c.next_attempt_at <= bindparam("moment"))
    .order_by(webhook_event.c.next_attempt_at)
    .limit(BATCH_SIZE)
    .with_for_update(skip_locked=True)
)
# Time for a split-off event's own task to start before the sweep schedules the event again.
OWN_TASK_GRACE = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True)
class ProcessedBatch:
    """Result of one batch: the number of events taken, and the ids of events that need their own task.

    `redemptions` are those whose cart must be checked after `CART_CHECK_DELAY`. `left` events are for the next batch.
    """

    taken: int
    split_off: tuple[str, ...]
    redemptions: tuple[str, ...] = ()
    left: int = 0

    @property
    def more(self) -> bool:
        """Whether more events are probably waiting."""
        return self.left > 0 or self.taken == BATCH_SIZE


@dataclass(frozen=True, kw_only=True)
class _SortedEvents:
    """A batch grouped by processing: `orders` together, `one_by_one` one by one, `own_task` in their own tasks.

    `left` events are for the next batch.
    """

    orders: dict[str, Order]
    one_by_one: list[str]
    own_task: list[str]
    left: int = 0


def split_off_batch() -> ProcessedBatch:
    """Take the oldest due events, up to `BATCH_SIZE`, and split off each into its own task without reading any.

    Used after a batch has crashed its worker process: only separate tasks show which event caused the crash. Bodies are
    not read, because many large ones can be the cause.
    """
    with transaction() as connection:
        taken = tuple(connection.scalars(_DUE.with_only_columns(webhook_event.c.id), {"moment": now()}))
        _reserve_for_own_task(connection, taken)
    return ProcessedBatch(taken=len(taken), split_off=taken)


def process_batch() -> ProcessedBatch:
    """Process the oldest due events, up to `BATCH_SIZE`. Raises `Unavailable` if Postgres is unavailable."""
    taken: list[str] = []
    try:
        with transaction() as connection:
            rows = lock_due(connection)
            taken = [row.id for row in rows]
            work = _read_events(connection, rows)
            with _traced(rows, work.orders):
                settled = settle_orders(connection, work.orders.values(), now=now(), quiet=_quiet(rows, work.orders))
            # Only Medusa can say which facts are current, so each of these events reads its order in its own task.
            unclear = [event_id for event_id, order in work.orders.items() if order in settled[order.id].unclear]
            for event_id in unclear:
                del work.orders[event_id]
            work.own_task.extend(unclear)
            if work.orders:
                mark_handled(
                    connection, {event_id: describe(settled[order.id]) for event_id, order in work.orders.items()}
                )
            _reserve_for_own_task(connection, work.own_task)
    except DatabaseBusy:
        return _process_each()
    except Unavailable:
        raise
    except Exception:
        # One event breaks the whole batch, which was rolled back. Each event gets its own task.
        log.exception("batch_broke", events=len(taken))
        with transaction() as connection:
            _reserve_for_own_task(connection, taken)
        return ProcessedBatch(taken=len(taken), split_off=tuple(taken))
    _log_batch(work.orders, rows)
    return _finish(work, taken)


def _process_each() -> ProcessedBatch:
    """As `process_batch`, but settle each order in a transaction of its own.

    One of them needs a row that another transaction keeps locked, or that is damaged, for example. Its event is due
    again after `OWN_TASK_GRACE`; no attempt is counted. Raises `DatabaseBusy` if that holds for many of them.
    """
    with transaction() as connection:
        rows = lock_due(connection)
        work = _read_events(connection, rows)
        _reserve_for_own_task(connection, [row.id for row in rows])
    unclear: list[str] = []

    def settle(connection: Connection, event_id: str) -> None:
        pending = select(webhook_event.c.id).where(
            webhook_event.c.id == event_id, webhook_event.c.state == EventState.PENDING
        )
        if connection.scalar(pending.with_for_update()) is None:
            return
        order = work.orders[event_id]
        settled = settle_orders(connection, [order], now=now(), quiet=_quiet(rows, {event_id: order}))[order.id]
        if order in settled.unclear:
            unclear.append(event_id)
        else:
            mark_handled(connection, {event_id: describe(settled)})

    failed = each_alone(settle, work.orders)
    for event_id, error in failed.items():
        log.warning("event_not_handled_here", event_id=event_id, error=type(error).__name__)
    left = {*unclear, *failed}
    _log_batch({event_id: order for event_id, order in work.orders.items() if event_id not in left}, rows)
    work.own_task.extend(unclear)
    work.own_task.extend(event_id for event_id, error in failed.items() if not isinstance(error, DatabaseBusy))
    return _finish(work, [row.id for row in rows])


def _finish(work: _SortedEvents, taken: Sequence[str]) -> ProcessedBatch:
    """Process the events that are not about orders. Returns the result of the whole batch."""
    done = {event_id: _handle_here(event_id) for event_id in work.one_by_one}
    failed = [event_id for event_id, handled in done.items() if handled is None]
    if failed:
        with transaction() as connection:
            _reserve_for_own_task(connection, failed)
    redemptions = tuple(redemption_id for handled in done.values() if handled for redemption_id in handled.redemptions)
    return ProcessedBatch(
        taken=len(taken) - work.left,
        split_off=(*work.own_task, *failed),
        redemptions=redemptions,
        left=work.left,
    )


def _quiet(rows: Sequence[Row[Any]], orders: Mapping[str, Order]) -> set[OrderId]:
    """Orders whose events in this batch all come from a backfill. No outgoing webhook is sent for them."""
    announced = {orders[row.id].id for row in rows if row.id in orders and row.source != QUIET_SOURCE}
    return {order.id for order in orders.values()} - announced


def _traced(rows: Sequence[Row[Any]], orders: Collection[str]) -> AbstractContextManager[Any]:
    """A batch of one event continues its trace. A batch of several starts a new trace, linked to the trace of each."""
    if not orders:
        # The sweep runs every few seconds and usually finds nothing, so it needs no span.
        return nullcontext()
    traces = [row.traceparent for row in rows if row.traceparent and row.id in orders]
    if len(orders) == 1:
        (event_id,) = orders
        return span("inbox.drain", parent=traces[0] if traces else None, event_id=event_id)
    return span("inbox.drain", links=traces, events=len(orders))


def _log_batch(orders: Mapping[str, Order], rows: Sequence[Row[Any]]) -> None:
    """Log one line for the batch, with the ids of each event, order and customer. A line each would cost more than
    settling does."""
    if not orders:
        return
    for row in rows:
        if row.id in orders:
            EVENTS_HANDLED.labels(metric_label(row.type)).inc()
    ids = [
        {"event_id": event_id, "order_id": order.id, "customer_id": order.customer_id}
        for event_id, order in orders.items()
    ]
    log.info("events_handled", number=len(ids), events=ids)


def lock_due(connection: Connection) -> Sequence[Row[Any]]:
    """Lock due events that no other transaction has locked, until this transaction ends."""
    return connection.execute(_DUE, {"moment": now()}).all()


def _read_events(connection: Connection, rows: Sequence[Row[Any]]) -> _SortedEvents:
    needs = current_version(connection).programme.looks_at
    work, moment = _SortedEvents(orders={}, one_by_one=[], own_task=[]), now()
    for row in rows:
        if not concerns_order(row.type):
            own_task = needs_medusa(connection, row.type, row.subject)
            (work.own_task if own_task else work.one_by_one).append(row.id)
            continue
        order = read_stored_order(
            row.payload, type=row.type, event_at=row.event_at, subject=row.subject, needs=needs, now=moment
        )
        if order is None:
            work.own_task.append(row.id)
        else:
            work.orders[row.id] = order
    together = _settled_together(work.orders)
    return replace(work, orders=together, left=len(work.orders) - len(together))


def _settled_together(orders: Mapping[str, Order]) -> dict[str, Order]:
    """Return the orders by event, with the facts of one order sorted by their age.

    Facts that have to wait until earlier ones of the order are settled are left out: their events stay due.
    """
    events: dict[OrderId, list[str]] = {}
    for event_id, order in orders.items():
        events.setdefault(order.id, []).append(event_id)
    if len(events) == len(orders):
        return dict(orders)
    # The facts of an order share the places that it has in the batch.
    by_age = {
        order_id: iter(sorted(of_order, key=lambda event: age(orders[event]))) for order_id, of_order in events.items()
    }
    together: dict[str, Order] = {}
    newest: dict[OrderId, Order] = {}
    waiting: set[OrderId] = set()
    for order_id in [order.id for order in orders.values()]:
        event_id = next(by_age[order_id])
        order = orders[event_id]
        if order_id in newest and must_be_settled_before(newest[order_id], order):
            waiting.add(order_id)
        if order_id not in waiting:
            together[event_id] = newest[order_id] = order
    return together


def _reserve_for_own_task(connection: Connection, event_ids: Sequence[str]) -> None:
    if event_ids:
        connection.execute(
            update(webhook_event)
            .where(among(webhook_event.c.id, event_ids), webhook_event.c.state == EventState.PENDING)
            .values(next_attempt_at=now() + OWN_TASK_GRACE)
        )


def _handle_here(event_id: str) -> ProcessedEvent | None:
    """Process one event; None if it fails."""
    try:
        return process_without_medusa(event_id)
    except Exception as error:
        # Its own task meets the same error and reschedules the event or marks it as failed, with the reason.
        log.warning("event_not_handled_here", event_id=event_id, error=type(error).__name__)
        return None
