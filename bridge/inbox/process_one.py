"""Process one event: read from Medusa what the event does not contain, then apply it in one transaction.

After a temporary error (`Unavailable`) the event stays pending and is tried again later. After any other error it is
marked as `failed`, with a reason for an operator. Processing an event twice does nothing the second time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_never

import structlog
from sqlalchemy import Connection, Row, select, update

from bridge.clock import now
from bridge.counted import counted
from bridge.db import transaction
from bridge.db.bulk import update_rows
from bridge.errors import Conflict, DustError, Unavailable
from bridge.ids import OrderId, ProductId
from bridge.inbox.attempts import Attempt, store_attempt
from bridge.inbox.customers import EventOrigin, MedusaCustomer, apply_customer_event, read_customer_of
from bridge.inbox.events import About, Event, log_ids, metric_label, read_event
from bridge.inbox.retry import ASK_AGAIN_AFTER, UnknownEvent, require_event_id
from bridge.inbox.tables import QUIET_SOURCE, EventState, Outcome, webhook_event
from bridge.medusa.client import Medusa, get_medusa
from bridge.medusa.errors import UnknownInMedusa
from bridge.medusa.orders import Order, read_order
from bridge.observability.logs import redact
from bridge.observability.metrics import EVENTS_FAILED, EVENTS_HANDLED, EVENTS_RESCHEDULED
from bridge.observability.tracing import span
from bridge.outgoing.outbox import OutgoingWebhook, add_webhooks
from bridge.outgoing.tables import OutgoingWebhookType
from bridge.products.settings import drop_settings_of_deleted
from bridge.programme.versions import current_version
from bridge.queue.backoff import backoff_seconds
from bridge.redemptions.cart_codes import schedule_cart_checks
from bridge.settings import get_settings
from bridge.settlement.facts import check_now, read_revisions
from bridge.settlement.settle import Settled, settle_orders

log = structlog.get_logger(__name__)

# Below Redis' visibility timeout of 300 s, after which Celery would deliver a delayed message a second time.
_MAX_WAIT_SECONDS = 180.0
# A delayed message triggers the retry. The sweep takes over only if the message is this late.
_SWEEP_GRACE_SECONDS = 15.0


class RetryLater(Unavailable):
    """The event failed with a temporary error. It is tried again after `wait_seconds`."""

    code = "retry_later"

    def __init__(self, event_id: str, reason: str, wait_seconds: float) -> None:
        super().__init__(f"{event_id} is rescheduled: {reason}")
        self.wait_seconds = wait_seconds


class OrderIsChanging(Unavailable):
    """Another transaction settled the order during the call to Medusa, so the answer may be outdated."""

    code = "order_is_changing"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"Order {order_id} changed while Medusa was asked for it.")


class EventFailed(Conflict):
    """The event is marked as failed. The message says why and what to do."""

    code = "event_failed"


@dataclass(frozen=True, kw_only=True)
class ProcessedEvent:
    """Result of processing an event; `sentence` says what it did."""

    event_id: str
    state: EventState
    sentence: str
    redemptions: tuple[str, ...] = ()
    """Redemptions whose cart must be checked after `CART_CHECK_DELAY`."""


def process_event(event_id: str, medusa: Medusa | None = None) -> ProcessedEvent:
    """Process one pending event. Events in other states do not change.

    Raises `RetryLater` if it is rescheduled, `EventFailed` if it is marked as failed, `UnknownEvent`.
    """
    row = _read_row(event_id)
    with _log_context(row):
        return _process_or_store_error(row, medusa)


def process_without_medusa(event_id: str) -> ProcessedEvent:
    """Process one pending event that needs no call to Medusa. On any error it raises; the event does not change."""
    row = _read_row(event_id)
    with _log_context(row):
        return _read_and_apply(row, None)


@contextmanager
def _log_context(row: Row[Any]) -> Iterator[None]:
    """Within the block, log lines have the event's ids and spans continue the event's trace."""
    with (
        structlog.contextvars.bound_contextvars(event_id=row.id, **log_ids(row.type, row.subject)),
        span("inbox.handle", parent=row.traceparent, event_id=row.id, type=row.type, subject=row.subject),
    ):
        yield


def _process_or_store_error(row: Row[Any], medusa: Medusa | None) -> ProcessedEvent:
    try:
        return _read_and_apply(row, medusa)
    except Unavailable as error:
        raise _store_retry(row, error) from error
    except UnknownInMedusa as error:
        return _not_in_medusa(row, error)
    except DustError as error:
        raise _store_failure(row, error.code, error.message) from error
    except Exception as error:
        # A bug in Dust must not cause endless retries or lose the event: mark it as failed and log the traceback.
        log.exception("event_broke")
        raise _store_failure(
            row, "internal_error", redact(f"Dust has a bug here ({type(error).__name__}: {error}).")
        ) from error


def _read_and_apply(row: Row[Any], medusa: Medusa | None) -> ProcessedEvent:
    if row.state != EventState.PENDING:
        return ProcessedEvent(event_id=row.id, state=row.state, sentence=f"Nothing to do: it is {row.state}.")
    event = read_event(row.payload)
    order = order_of_event(event)
    customer = read_customer_of(event, medusa)
    is_complete = order is not None or not event.concerns_order
    if is_complete and (processed := _apply_in_transaction(row, event, order, customer)):
        return processed
    # No usable snapshot, or one that contradicts what was settled: the order is read from Medusa, which decides.
    order_id = order.id if order else _order_id(event, medusa)
    fetched, revision = _read_from_medusa(order_id, medusa) if order_id else (None, 0)
    fetched = event.date_order(fetched) if fetched else None
    processed = _apply_in_transaction(row, event, fetched, customer, revision=revision)
    if processed is None:
        raise OrderIsChanging(str(order_id))
    return processed


def _apply_in_transaction(
    row: Row[Any], event: Event, order: Order | None, customer: MedusaCustomer | None, *, revision: int | None = None
) -> ProcessedEvent | None:
    """Apply the event and mark it as handled, in one transaction. If its facts are unclear: do nothing, return None.

    `revision` is given for an order that was read from Medusa: its settlement's revision before the call.
    """
    with transaction() as connection:
        query = select(webhook_event.c.state).where(webhook_event.c.id == row.id).with_for_update()
        if connection.scalar(query) != EventState.PENDING:
            return ProcessedEvent(event_id=row.id, state=EventState.HANDLED, sentence="Nothing to do: it is handled.")
        origin = EventOrigin(source=row.source, received_at=row.received_at, quiet=row.source == QUIET_SOURCE)
        result = _apply(connection, event, order, customer, origin, revision=revision)
        if result is None:
            return None
        sentence, redemptions = result
        mark_handled(connection, {row.id: sentence})
    EVENTS_HANDLED.labels(metric_label(row.type)).inc()
    ids = {"order_id": order.id, "customer_id": order.customer_id} if order else {}
    log.info("event_handled", type=row.type, **ids, outcome=sentence)
    return ProcessedEvent(event_id=row.id, state=EventState.HANDLED, sentence=sentence, redemptions=redemptions)


def order_of_event(event: Event) -> Order | None:
    """The order in the event's data, if it is usable."""
    if not event.concerns_order:
        return None
    with transaction() as connection:
        needs = current_version(connection).programme.looks_at
    return event.snapshot(needs=needs, now=now())


def _order_id(event: Event, medusa: Medusa | None) -> OrderId | None:
    """The id of the order to read from Medusa; None for a payment without an order yet."""
    payment_id = event.data.get("id")
    if event.about is About.PAYMENT and payment_id and not event.data.get("order_id"):
        return (medusa or get_medusa()).order_id_of_payment(str(payment_id))
    return OrderId(str(event.subject))


def _read_from_medusa(order_id: OrderId, medusa: Medusa | None) -> tuple[Order, int]:
    """The order from Medusa, and its settlement's revision before the call. Raises `UnknownInMedusa`, `MedusaAway`."""
    with transaction() as connection:
        revision = read_revisions(connection, [order_id])[order_id]
    try:
        return read_order((medusa or get_medusa()).order(order_id)), revision
    except UnknownInMedusa:
        raise UnknownInMedusa(f"Medusa has no order {order_id}.") from None


def _apply(
    connection: Connection,
    event: Event,
    order: Order | None,
    customer: MedusaCustomer | None,
    origin: EventOrigin,
    *,
    revision: int | None,
) -> tuple[str, tuple[str, ...]] | None:
    """Apply the event; return a sentence about the result, and the redemptions whose carts are to be checked.

    Returns None if only Medusa can say which facts of the order are the newest.
    """
    match event.about:
        case About.ORDER | About.PAYMENT:
            if order is None:
                return f"Payment {event.subject} belongs to no order yet.", ()
            asked = {} if revision is None else {order.id: revision}
            quiet = {order.id} if origin.quiet else ()
            settled = settle_orders(connection, [order], now=now(), quiet=quiet, asked=asked)[order.id]
            return None if settled.unclear else (describe(settled), ())
        case About.CUSTOMER:
            return apply_customer_event(connection, event, customer, origin), ()
        case About.PRODUCT:
            if event.type != "product.deleted":
                raise AssertionError(f"nothing is defined for {event.type}")
            had_settings = drop_settings_of_deleted(connection, ProductId(str(event.subject)))
            if had_settings:
                return "The product's points settings were dropped.", ()
            return "The product had no points settings.", ()
        case About.CART:
            redemptions = tuple(schedule_cart_checks(connection, str(event.subject), event.codes, now=now()))
            if not redemptions:
                return "No active redemption was made for this cart.", ()
            return f"Medusa will be asked whether {', '.join(redemptions)} can be released.", redemptions
        case None:
            return f"Dust ignores events of type {event.type}.", ()
    assert_never(event.about)


def describe(settled: Settled) -> str:
    """A sentence that says what settling an order did."""
    if settled.stale or (settled.note and not settled.change):
        return f"Order {settled.order_id}: {settled.note}"
    if not settled.change:
        return f"Order {settled.order_id} holds {counted(settled.booked, 'point')} already."
    verb = "earned" if settled.change > 0 else "gave back"
    return f"Order {settled.order_id} {verb} {counted(abs(settled.change), 'point')}, {settled.booked:,} in all."


def mark_handled(connection: Connection, sentences: dict[str, str]) -> None:
    """Mark events as handled. `sentences` maps each event id to the sentence about its result."""
    rows = [{"id": event_id, "reason": sentence} for event_id, sentence in sentences.items()]
    done = {"state": EventState.HANDLED, "next_attempt_at": None, "handled_at": now(), "error_code": None}
    update_rows(connection, webhook_event, rows, key=("id",), same=done)


def mark_failed(connection: Connection, event_id: str, *, code: str, reason: str, attempts: int) -> None:
    """Mark a pending event as failed and send the outgoing webhook about it."""
    failed_rows = connection.execute(
        update(webhook_event)
        .where(webhook_event.c.id == event_id, webhook_event.c.state == EventState.PENDING)
        .values(state=EventState.FAILED, next_attempt_at=None, error_code=code, reason=reason, attempts=attempts)
        .returning(webhook_event.c.type, webhook_event.c.subject)
    )
    if (failed := failed_rows.one_or_none()) is not None:
        attempt = Attempt(at=now(), outcome=Outcome.FAILED, attempt=attempts, error_code=code, reason=reason)
        store_attempt(connection, [event_id], attempt)
        data = {
            "what": "event",
            "event_id": event_id,
            "event_type": failed.type,
            "subject": failed.subject,
            "code": code,
        }
        add_webhooks(
            connection, [OutgoingWebhook(type=OutgoingWebhookType.FAILED, customer_id=None, data=data)], now=now()
        )
        EVENTS_FAILED.labels(metric_label(failed.type), code).inc()


def fail_event(event_id: str, reason: str) -> None:
    """Mark an event as failed whose task was killed before it could do so. Only pending events change."""
    row = _read_row(event_id)
    if row.state == EventState.PENDING:
        with _log_context(row):
            _store_failure(row, "task_ended", reason)


def _read_row(event_id: str) -> Row[Any]:
    require_event_id(event_id)
    with transaction() as connection:
        row = connection.execute(select(webhook_event).where(webhook_event.c.id == event_id)).one_or_none()
    if row is None:
        raise UnknownEvent(event_id)
    return row


def _not_in_medusa(row: Row[Any], error: UnknownInMedusa) -> ProcessedEvent:
    """Mark the event as failed within `ASK_AGAIN_AFTER`, so that an operator sees it; later, ignore it with the reason.

    Medusa deletes an order whose payment is declined, without an event. The sender may also have invented the order, or
    be another shop.
    """
    if now() < row.received_at + ASK_AGAIN_AFTER:
        message = (
            f"{error.message} It is looked for once more in ten minutes. Check that the webhook comes from the shop"
            " that DUST_MEDUSA_URL names."
        )
        raise _store_failure(row, error.code, message) from error
    reason = (
        f"{error.message} It was deleted (Medusa does that when the payment is declined), or the webhook comes from"
        " another shop than DUST_MEDUSA_URL names."
    )
    with transaction() as connection:
        ignored = connection.execute(
            update(webhook_event)
            .where(webhook_event.c.id == row.id, webhook_event.c.state == EventState.PENDING)
            .values(state=EventState.IGNORED, next_attempt_at=None, reason=reason, handled_at=now())
        )
        if ignored.rowcount and row.subject:
            check_now(connection, [OrderId(row.subject)], now=now())
    log.warning("event_ignored", type=row.type, code=error.code, reason=reason)
    return ProcessedEvent(event_id=row.id, state=EventState.IGNORED, sentence=reason)


def _store_retry(row: Row[Any], error: Unavailable) -> DustError:
    """Reschedule the event, or mark it as failed after the last attempt; return the error to raise."""
    attempts = row.attempts + 1
    if attempts >= get_settings().retry_attempts:
        tried = "Tried once" if attempts == 1 else f"Tried {attempts} times"
        return _store_failure(row, error.code, f"{error.message} {tried}; retry it once that is fixed.", attempts)
    wait = backoff_seconds(attempts, max_seconds=_MAX_WAIT_SECONDS)
    with transaction() as connection:
        connection.execute(
            update(webhook_event)
            .where(webhook_event.c.id == row.id, webhook_event.c.state == EventState.PENDING)
            .values(
                attempts=attempts,
                next_attempt_at=now() + timedelta(seconds=wait + _SWEEP_GRACE_SECONDS),
                error_code=error.code,
                reason=error.message,
            )
        )
        attempt = Attempt(
            at=now(), outcome=Outcome.RESCHEDULED, attempt=attempts, error_code=error.code, reason=error.message
        )
        store_attempt(connection, [row.id], attempt)
    EVENTS_RESCHEDULED.labels(error.code).inc()
    log.warning("event_rescheduled", type=row.type, code=error.code, reason=error.message, attempt=attempts)
    return RetryLater(row.id, error.message, wait)


def _store_failure(row: Row[Any], code: str, message: str, attempts: int | None = None) -> EventFailed:
    """Mark the event as failed; return the error to raise."""
    reason = f"{row.type} {row.subject}: {message}"
    with transaction() as connection:
        mark_failed(connection, row.id, code=code, reason=reason, attempts=attempts or row.attempts + 1)
    log.error("event_failed", type=row.type, code=code, reason=message)
    return EventFailed(reason)
