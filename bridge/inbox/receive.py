"""Take an event in: one row, once, whatever comes how often."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from bridge.inbox.events import Event
from bridge.inbox.tables import EventState, webhook_event


class Receipt(StrEnum):
    """What became of an event at the door."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    IGNORED = "ignored"


def receive(
    connection: Connection,
    event_id: str,
    event: Event,
    body: bytes,
    *,
    now: datetime,
    source: str = "webhook",
    traceparent: str | None = None,
) -> Receipt:
    """Keep the event unless its id is here already. The caller commits before it answers.

    `traceparent` is the trace that whoever handles the event shall continue.
    """
    useful = event.about is not None
    added = connection.execute(
        insert(webhook_event)
        .values(
            id=event_id,
            type=event.type,
            subject=event.subject,
            source=source,
            payload=body,
            event_at=event.event_at,
            received_at=now,
            state=(EventState.PENDING if useful else EventState.IGNORED).value,
            next_attempt_at=now if useful else None,
            traceparent=traceparent,
            reason=None if useful else f"Dust has no use for {event.type}.",
        )
        .on_conflict_do_nothing()
        .returning(webhook_event.c.id)
    )
    if added.one_or_none() is None:
        return Receipt.DUPLICATE
    return Receipt.ACCEPTED if useful else Receipt.IGNORED
