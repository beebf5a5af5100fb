"""The inbox as operators see it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, tuple_

from bridge.errors import field_error
from bridge.inbox.handle import UnknownEvent
from bridge.inbox.tables import EventState, webhook_event


@dataclass(frozen=True, kw_only=True)
class EventSummary:
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
        """Where it stands in the list."""
        return f"{self.received_at.isoformat()} {self.id}"


def list_events(
    connection: Connection,
    *,
    state: EventState | None = None,
    type_: str | None = None,
    subject: str | None = None,
    before: str | None = None,
    limit: int,
) -> list[EventSummary]:
    """The newest first."""
    columns = webhook_event.c
    query = select(webhook_event).order_by(columns.received_at.desc(), columns.id.desc()).limit(limit)
    if state is not None:
        query = query.where(columns.state == state.value)
    if type_ is not None:
        query = query.where(columns.type == type_)
    if subject is not None:
        query = query.where(columns.subject == subject)
    if before is not None:
        query = query.where(tuple_(columns.received_at, columns.id) < tuple_(*_position(before)))
    return [_summary(row) for row in connection.execute(query)]


def read_event_row(connection: Connection, event_id: str) -> EventSummary:
    """One event. Raises `UnknownEvent`."""
    row = connection.execute(select(webhook_event).where(webhook_event.c.id == event_id)).one_or_none()
    if row is None:
        raise UnknownEvent(event_id)
    return _summary(row)


def oldest_waiting(connection: Connection) -> datetime | None:
    """When the event that waits longest came in; None when none waits."""
    query = select(func.min(webhook_event.c.received_at)).where(webhook_event.c.state == EventState.PENDING.value)
    oldest: datetime | None = connection.scalar(query)
    return oldest


def _position(cursor: str) -> tuple[datetime, str]:
    moment, _, event_id = cursor.partition(" ")
    try:
        return datetime.fromisoformat(moment), event_id
    except ValueError as error:
        raise field_error("cursor", "is not one of ours: use the next_cursor of the page before") from error


def _summary(row: Row[Any]) -> EventSummary:
    return EventSummary(
        **{name: row._mapping[name] for name in EventSummary.__dataclass_fields__ if name != "state"},
        state=EventState(row.state),
    )
