"""Queries on the inbox for operators: lists, single events and counts."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select, tuple_

from bridge.db.rows import TypedRow
from bridge.errors import field_error
from bridge.inbox.list_filter import EventFilter
from bridge.inbox.retry import UnknownEvent
from bridge.inbox.tables import EventState, webhook_event

# Bounds the query. In a larger backlog the events that are due first are also the oldest.
_MAX_LOOKED_AT = 100_000


@dataclass(frozen=True, kw_only=True)
class EventSummary(TypedRow):
    """One event of the inbox. `payload` is its raw body."""

    id: str
    type: str
    subject: str | None
    source: str
    state: EventState
    attempts: int
    error_code: str | None
    reason: str | None
    event_at: datetime
    received_at: datetime
    next_attempt_at: datetime | None
    handled_at: datetime | None
    payload: bytes

    @property
    def position(self) -> str:
        """Position in the list, for the cursor."""
        return f"{self.received_at.isoformat()} {self.id}"


def list_events(
    connection: Connection, only: EventFilter, *, before: str | None = None, limit: int
) -> list[EventSummary]:
    """Events that match the filter, newest first."""
    columns = webhook_event.c
    query = select(webhook_event).where(*only.conditions())
    query = query.order_by(columns.received_at.desc(), columns.id.desc()).limit(limit)
    if before is not None:
        query = query.where(tuple_(columns.received_at, columns.id) < tuple_(*_position(before)))
    return [EventSummary.from_row(row) for row in connection.execute(query)]


def read_event_row(connection: Connection, event_id: str) -> EventSummary:
    """One event. Raises `UnknownEvent`."""
    query = select(webhook_event).where(webhook_event.c.id == event_id)
    return EventSummary.read_one(connection, query, otherwise=UnknownEvent(event_id))


def oldest_waiting(connection: Connection) -> datetime | None:
    """Time of receipt of the oldest pending event; None if there is none."""
    # For min(received_at) Postgres may scan that index through all events ever handled. Ordered by `next_attempt_at` it
    # uses the small partial index of pending events.
    waiting = (
        select(webhook_event.c.received_at)
        .where(webhook_event.c.state == EventState.PENDING)
        .order_by(webhook_event.c.next_attempt_at)
        .limit(_MAX_LOOKED_AT)
        .subquery()
    )
    oldest: datetime | None = connection.scalar(select(func.min(waiting.c.received_at)))
    return oldest


def oldest_failed(connection: Connection) -> datetime | None:
    """Time of receipt of the oldest failed event; None if there is none."""
    oldest: datetime | None = connection.scalar(
        select(func.min(webhook_event.c.received_at)).where(webhook_event.c.state == EventState.FAILED.value)
    )
    return oldest


def first_received(connection: Connection) -> datetime | None:
    """Time of receipt of the very first event; None if none came yet."""
    first: datetime | None = connection.scalar(select(func.min(webhook_event.c.received_at)))
    return first


@dataclass(frozen=True, kw_only=True)
class FailureCause:
    """Failed events with the same type and error code."""

    type: str
    error_code: str | None
    events: int
    reason: str | None
    """That of one of them."""
    oldest_received_at: datetime
    newest_received_at: datetime


def list_failure_causes(connection: Connection, *, limit: int) -> list[FailureCause]:
    """The causes of failed events, the most frequent first."""
    event = webhook_event.c
    query = (
        select(
            event.type,
            event.error_code,
            func.count().label("events"),
            func.max(event.reason).label("reason"),
            func.min(event.received_at).label("oldest_received_at"),
            func.max(event.received_at).label("newest_received_at"),
        )
        .where(event.state == EventState.FAILED)
        .group_by(event.type, event.error_code)
        .order_by(func.count().desc(), event.type, event.error_code)
        .limit(limit)
    )
    return [FailureCause(**row._mapping) for row in connection.execute(query)]


def count_events(connection: Connection, state: EventState) -> int:
    """Number of pending or of failed events. Partial indexes cover these states."""
    return connection.execute(select(func.count()).where(webhook_event.c.state == state)).scalar_one()


def _position(cursor: str) -> tuple[datetime, str]:
    moment, _, event_id = cursor.partition(" ")
    try:
        return datetime.fromisoformat(moment), event_id
    except ValueError as error:
        raise field_error("cursor", "is not one of ours: use the next_cursor of the page before") from error
