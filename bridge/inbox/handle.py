"""Handle one event: ask Medusa where the event does not say enough, then do everything in one transaction.

What fails for a reason that passes (`Unavailable`) stays pending and is tried again later; what fails for a reason that
stays is parked as `failed`, in words for an operator. Handling an event twice does nothing the second time.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, assert_never

import structlog
from sqlalchemy import Connection, Row, func, select, update

from bridge.backoff import backoff_seconds
from bridge.bulk import update_rows
from bridge.clock import now
from bridge.db import transaction
from bridge.errors import Conflict, DustError, NotFound, Unavailable
from bridge.ids import OrderId, ProductId
from bridge.inbox.customers import Arrived, Person, apply_customer_event, find_person
from bridge.inbox.events import About, Event, log_ids, metric_label, read_event
from bridge.inbox.history import Attempt, Outcome, note_attempt, note_attempts
from bridge.inbox.selection import EventFilter
from bridge.inbox.tables import QUIET_SOURCE, EventState, webhook_attempt, webhook_event
from bridge.logs import redact
from bridge.medusa.client import Medusa, UnknownInMedusa, get_medusa
from bridge.medusa.orders import Order, read_order
from bridge.metrics import EVENTS_FAILED, EVENTS_HANDLED, EVENTS_PUT_OFF, EVENTS_RETRIED
from bridge.notices.outbox import Notice, NoticeType, put
from bridge.products.settings import forget_product
from bridge.programme.versions import current_version
from bridge.redemptions.cart_codes import note_codes_removed
from bridge.settings import get_settings
from bridge.settlement.settle import Settled, settle_orders
from bridge.tracing import span

log = structlog.get_logger(__name__)

# Below Redis' visibility time-out of 300 s, after which Celery would deliver a delayed message a second time.
_LONGEST_WAIT_SECONDS = 180.0
# The retry comes by a message; the sweep takes over only when that is this late.
_SWEEP_GRACE_SECONDS = 15.0
_RETRIED_AT_ONCE = 500


class UnknownEvent(NotFound):
    """There is no event with this id."""

    code = "unknown_event"

    def __init__(self, event_id: str) -> None:
        super().__init__(f"There is no event {event_id}.")


class RetryLater(Unavailable):
    """The event waits for something that is away; `wait_seconds` says when to try again."""

    code = "retry_later"

    def __init__(self, event_id: str, reason: str, wait_seconds: float) -> None:
        super().__init__(f"{event_id} waits: {reason}")
        self.wait_seconds = wait_seconds


class EventFailed(Conflict):
    """The event is parked as failed; the message says why and what to do."""

    code = "event_failed"


@dataclass(frozen=True, kw_only=True)
class Handled:
    """What came of an event, in a sentence."""

    event_id: str
    state: EventState
    sentence: str
    redemptions: tuple[str, ...] = ()
    """Redemptions whose cart has to be looked at after `CART_CHECK_DELAY`."""


def handle_event(event_id: str, medusa: Medusa | None = None) -> Handled:
    """Handle one pending event; harmless for any other.

    Raises `RetryLater` while it has to wait, `EventFailed` once it is parked, `UnknownEvent`.
    """
    row = _read_row(event_id)
    with _about(row):
        return _handle(row, medusa)


def try_event(event_id: str) -> Handled:
    """Handle one pending event that needs nobody else. Raises whatever is in the way; the event stays as it was."""
    row = _read_row(event_id)
    with _about(row):
        return _try(row, None)


@contextmanager
def _about(row: Row[Any]) -> Iterator[None]:
    """Log lines in the block name the event and what it is about, and its trace goes on."""
    with (
        structlog.contextvars.bound_contextvars(event_id=row.id, **log_ids(row.type, row.subject)),
        span("inbox.handle", parent=row.traceparent, event_id=row.id, type=row.type, subject=row.subject),
    ):
        yield


def _handle(row: Row[Any], medusa: Medusa | None) -> Handled:
    try:
        return _try(row, medusa)
    except Unavailable as error:
        raise _put_off(row, error) from error
    except DustError as error:
        raise _park(row, error.code, error.message) from error
    except Exception as error:
        # A fault of ours must not loop, and must not be lost: parked like poison, with the traceback in the log.
        log.exception("event_broke")
        raise _park(
            row, "internal_error", redact(f"Dust has a fault here ({type(error).__name__}: {error}).")
        ) from error


def _try(row: Row[Any], medusa: Medusa | None) -> Handled:
    if row.state != EventState.PENDING:
        return Handled(event_id=row.id, state=EventState(row.state), sentence=f"Nothing to do: it is {row.state}.")
    event = read_event(row.payload)
    order = find_order(event, medusa)
    person = find_person(event, medusa)
    with transaction() as connection:
        if not _lock_pending(connection, row.id):
            return Handled(event_id=row.id, state=EventState.HANDLED, sentence="Nothing to do: it is handled.")
        redemptions = _note_codes_removed(connection, event)
        arrived = Arrived(source=row.source, received_at=row.received_at, quiet=row.source == QUIET_SOURCE)
        sentence = _apply(connection, event, order, person, redemptions, arrived)
        mark_handled(connection, {row.id: sentence})
    EVENTS_HANDLED.labels(metric_label(row.type)).inc()
    found = {"order_id": order.id, "customer_id": order.customer_id} if order else {}
    log.info("event_handled", type=row.type, **found, outcome=sentence)
    return Handled(event_id=row.id, state=EventState.HANDLED, sentence=sentence, redemptions=redemptions)


def find_order(event: Event, medusa: Medusa | None = None) -> Order | None:
    """The order an event is about: its snapshot, or asked of Medusa; None when it is not about one."""
    if not event.concerns_order:
        return None
    with transaction() as connection:
        needs = current_version(connection).programme.looks_at
    order = event.snapshot(needs=needs)
    if order is not None:
        return order
    medusa = medusa or get_medusa()
    order_id: OrderId | None = OrderId(str(event.subject))
    if event.about is About.PAYMENT and "order_id" not in event.data:
        order_id = medusa.order_id_of_payment(str(event.data.get("id")))
    if order_id is None:
        return None
    try:
        return read_order(medusa.order(order_id))
    except UnknownInMedusa:
        message = f"Medusa knows no order {order_id}. Check that the webhook comes from the shop DUST_MEDUSA_URL names."
        raise UnknownInMedusa(message) from None


def _note_codes_removed(connection: Connection, event: Event) -> tuple[str, ...]:
    if event.about is not About.CART:
        return ()
    return tuple(note_codes_removed(connection, str(event.subject), event.codes, now=now()))


def _apply(
    connection: Connection,
    event: Event,
    order: Order | None,
    person: Person | None,
    redemptions: Collection[str],
    arrived: Arrived,
) -> str:
    match event.about:
        case About.ORDER | About.PAYMENT:
            if order is None:
                return f"Payment {event.subject} belongs to no order yet."
            settled = settle_orders(connection, [order], now=now(), quiet={order.id} if arrived.quiet else ())
            return describe(settled[order.id])
        case About.CUSTOMER:
            return apply_customer_event(connection, event, person, arrived)
        case About.PRODUCT:
            forgotten = forget_product(connection, ProductId(str(event.subject)))
            return "The product's dust settings were dropped." if forgotten else "The product had no dust settings."
        case About.CART:
            if not redemptions:
                return "No active redemption was made for this cart."
            return f"Medusa will be asked whether {', '.join(redemptions)} can be released."
        case None:
            return f"Dust has no use for {event.type}."
    assert_never(event.about)


def describe(settled: Settled) -> str:
    """What settling an order did, in a sentence."""
    if settled.stale or (settled.note and not settled.change):
        return f"Order {settled.order_id}: {settled.note}"
    if not settled.change:
        return f"Order {settled.order_id} holds {settled.booked} dust already."
    verb = "earned" if settled.change > 0 else "gave back"
    return f"Order {settled.order_id} {verb} {abs(settled.change)} dust, {settled.booked} in all."


def mark_handled(connection: Connection, sentences: dict[str, str]) -> None:
    """These events are done; `sentences` says by id what came of each."""
    rows = [{"id": who, "reason": what} for who, what in sentences.items()]
    done = {"state": EventState.HANDLED.value, "next_attempt_at": None, "handled_at": now(), "error_code": None}
    update_rows(connection, webhook_event, rows, key=("id",), same=done)


def mark_failed(connection: Connection, event_id: str, *, code: str, reason: str, attempts: int) -> None:
    """Park an event for an operator."""
    parked = connection.execute(
        update(webhook_event)
        .where(webhook_event.c.id == event_id, webhook_event.c.state == EventState.PENDING.value)
        .values(state=EventState.FAILED.value, next_attempt_at=None, error_code=code, reason=reason, attempts=attempts)
        .returning(webhook_event.c.type, webhook_event.c.subject)
    )
    if (failed := parked.one_or_none()) is not None:
        attempt = Attempt(at=now(), outcome=Outcome.FAILED, attempt=attempts, error_code=code, reason=reason)
        note_attempt(connection, event_id, attempt)
        data = {
            "what": "event",
            "event_id": event_id,
            "event_type": failed.type,
            "subject": failed.subject,
            "code": code,
        }
        put(connection, [Notice(type=NoticeType.FAILED, customer_id=None, data=data)], now=now())
        EVENTS_FAILED.labels(metric_label(failed.type), code).inc()


def park_event(event_id: str, reason: str) -> None:
    """Park an event whose task was ended from outside, before it could do so itself; harmless for any other."""
    row = _read_row(event_id)
    if row.state == EventState.PENDING:
        with _about(row):
            _park(row, "task_ended", reason)


def retry_event(
    connection: Connection,
    event_id: str,
    *,
    now: datetime,
    due_in: timedelta = timedelta(0),
    actor: str = "operator",
) -> bool:
    """Make a failed event pending again; False when it is not failed, which is fine. Raises `UnknownEvent`.

    `due_in` keeps the sweep off it for that long, for a task of its own that is about to be sent. `actor` is who asked.
    """
    state = connection.scalar(select(webhook_event.c.state).where(webhook_event.c.id == event_id).with_for_update())
    if state is None:
        raise UnknownEvent(event_id)
    if state != EventState.FAILED:
        return False
    connection.execute(
        update(webhook_event)
        .where(webhook_event.c.id == event_id)
        .values(state=EventState.PENDING.value, next_attempt_at=now + due_in, attempts=0)
    )
    note_attempt(connection, event_id, Attempt(at=now, outcome=Outcome.RETRIED, attempt=0, actor=actor))
    EVENTS_RETRIED.inc()
    return True


def retry_all(only: EventFilter, *, actor: str = "operator") -> Iterator[int]:
    """As `retry_event`, for every failed event that `only` lets through, oldest first; yields how many at a time.

    Each step is a transaction of its own, so that a great many neither lock each other nor have to succeed together.
    Events that fail again meanwhile are left alone: it ends.
    """
    started = now()
    while True:
        with transaction() as connection:
            retried = _retry_some(connection, only, started, actor)
        if retried:
            yield retried
        if retried < _RETRIED_AT_ONCE:
            return


def _retry_some(connection: Connection, only: EventFilter, started: datetime, actor: str) -> int:
    newest_attempt = (
        select(func.max(webhook_attempt.c.at)).where(webhook_attempt.c.event_id == webhook_event.c.id).scalar_subquery()
    )
    chosen = (
        select(webhook_event.c.id)
        .where(*only.conditions(), webhook_event.c.state == EventState.FAILED.value)
        # What failed since has been tried. Events from before there was a history have none.
        .where(func.coalesce(newest_attempt, webhook_event.c.received_at) <= started)
        .order_by(webhook_event.c.received_at)
        .limit(_RETRIED_AT_ONCE)
        # One that somebody else is retrying just now is retried.
        .with_for_update(skip_locked=True)
    )
    event_ids = connection.scalars(
        update(webhook_event)
        .where(webhook_event.c.id.in_(chosen))
        .values(state=EventState.PENDING.value, next_attempt_at=started, attempts=0)
        .returning(webhook_event.c.id)
    ).all()
    note_attempts(connection, event_ids, Attempt(at=now(), outcome=Outcome.RETRIED, attempt=0, actor=actor))
    EVENTS_RETRIED.inc(len(event_ids))
    return len(event_ids)


def _read_row(event_id: str) -> Row[Any]:
    with transaction() as connection:
        row = connection.execute(select(webhook_event).where(webhook_event.c.id == event_id)).one_or_none()
    if row is None:
        raise UnknownEvent(event_id)
    return row


def _lock_pending(connection: Connection, event_id: str) -> bool:
    query = select(webhook_event.c.state).where(webhook_event.c.id == event_id).with_for_update()
    return connection.scalar(query) == EventState.PENDING


def _put_off(row: Row[Any], error: Unavailable) -> DustError:
    attempts = row.attempts + 1
    if attempts >= get_settings().retry_attempts:
        return _park(
            row, error.code, f"{error.message} Tried {attempts} times; retry it once that is mended.", attempts
        )
    wait = backoff_seconds(attempts, longest_seconds=_LONGEST_WAIT_SECONDS)
    with transaction() as connection:
        connection.execute(
            update(webhook_event)
            .where(webhook_event.c.id == row.id, webhook_event.c.state == EventState.PENDING.value)
            .values(
                attempts=attempts,
                next_attempt_at=now() + timedelta(seconds=wait + _SWEEP_GRACE_SECONDS),
                error_code=error.code,
                reason=error.message,
            )
        )
        attempt = Attempt(
            at=now(), outcome=Outcome.WAITS, attempt=attempts, error_code=error.code, reason=error.message
        )
        note_attempt(connection, row.id, attempt)
    EVENTS_PUT_OFF.labels(error.code).inc()
    log.warning("event_put_off", type=row.type, code=error.code, reason=error.message, attempt=attempts)
    return RetryLater(row.id, error.message, wait)


def _park(row: Row[Any], code: str, message: str, attempts: int | None = None) -> EventFailed:
    reason = f"{row.type} {row.subject}: {message}"
    with transaction() as connection:
        mark_failed(connection, row.id, code=code, reason=reason, attempts=attempts or row.attempts + 1)
    log.error("event_parked", type=row.type, code=code, reason=message)
    return EventFailed(reason)
