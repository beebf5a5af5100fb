"""Make failed events pending again: one, all that match a filter, or those whose order Medusa did not have yet."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select, update

from bridge.clock import now
from bridge.db import transaction
from bridge.errors import NotFound
from bridge.inbox.attempts import Attempt, store_attempt
from bridge.inbox.list_filter import EventFilter
from bridge.inbox.tables import EventState, Outcome, webhook_attempt, webhook_event
from bridge.medusa.errors import UnknownInMedusa
from bridge.observability.metrics import EVENTS_RETRIED

_RETRIED_AT_ONCE = 500
# Medusa is asked a second time for an unknown order this long after the event was received.
ASK_AGAIN_AFTER = timedelta(minutes=10)


class UnknownEvent(NotFound):
    """There is no event with this id."""

    code = "unknown_event"

    def __init__(self, event_id: str) -> None:
        super().__init__(f"There is no event {event_id}.")


def require_event_id(value: object) -> None:
    """Check what may be no id: the arguments of a task, which anybody with access to the broker can send.

    Raises `UnknownEvent`.
    """
    if not (isinstance(value, str) and value.isascii() and value.isprintable()):
        raise UnknownEvent(str(value))


def retry_event(
    connection: Connection, event_id: str, *, now: datetime, due_in: timedelta = timedelta(0), actor: str = "operator"
) -> bool:
    """Make a failed event pending again. Returns False if it has not failed. Raises `UnknownEvent`.

    With `due_in` the sweep ignores it for that long, because its own task is about to be sent. `actor` requested it.
    """
    require_event_id(event_id)
    state = connection.scalar(select(webhook_event.c.state).where(webhook_event.c.id == event_id).with_for_update())
    if state is None:
        raise UnknownEvent(event_id)
    if state != EventState.FAILED:
        return False
    connection.execute(
        update(webhook_event)
        .where(webhook_event.c.id == event_id)
        .values(state=EventState.PENDING, next_attempt_at=now + due_in, attempts=0)
    )
    store_attempt(connection, [event_id], Attempt(at=now, outcome=Outcome.RETRIED, attempt=0, actor=actor))
    EVENTS_RETRIED.inc()
    return True


def retry_events_of_unknown_orders(connection: Connection, *, now: datetime) -> int:
    """Retry events that failed because Medusa did not have their order. Returns their number.

    They are retried once `ASK_AGAIN_AFTER` has passed. Then the event is handled, or ignored with the reason.
    """
    unknown = select(webhook_event.c.id).where(
        webhook_event.c.state == EventState.FAILED,
        webhook_event.c.error_code == UnknownInMedusa.code,
        webhook_event.c.received_at <= now - ASK_AGAIN_AFTER,
    )
    oldest = connection.scalars(unknown.order_by(webhook_event.c.received_at).limit(_RETRIED_AT_ONCE)).all()
    return sum(retry_event(connection, event_id, now=now, actor="dust") for event_id in sorted(oldest))


def retry_all(only: EventFilter, *, actor: str = "operator") -> Iterator[int]:
    """As `retry_event`, for every failed event that matches `only`, oldest first. Yields the number of each batch.

    Each batch is a separate transaction, so that many events are neither locked together nor have to succeed together.
    Events that fail again meanwhile are not retried, so the loop ends.
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
        .where(*only.conditions(), webhook_event.c.state == EventState.FAILED)
        # Skip what failed again since then. Events older than the history table have no attempts.
        .where(func.coalesce(newest_attempt, webhook_event.c.received_at) <= started)
        .order_by(webhook_event.c.received_at)
        .limit(_RETRIED_AT_ONCE)
        # An event that is locked here is being retried by another request.
        .with_for_update(skip_locked=True)
    )
    event_ids = connection.scalars(
        update(webhook_event)
        .where(webhook_event.c.id.in_(chosen))
        .values(state=EventState.PENDING, next_attempt_at=started, attempts=0)
        .returning(webhook_event.c.id)
    ).all()
    store_attempt(connection, event_ids, Attempt(at=now(), outcome=Outcome.RETRIED, attempt=0, actor=actor))
    EVENTS_RETRIED.inc(len(event_ids))
    return len(event_ids)
