"""Store an event once, however often it is delivered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from bridge.db.bulk import insert_missing
from bridge.inbox.events import Event
from bridge.inbox.tables import WEBHOOK_SOURCE, EventState, webhook_event


class Receipt(StrEnum):
    """What the webhook endpoint did with an event."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    IGNORED = "ignored"


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """An event as received. `traceparent` is the trace that its processing continues."""

    event_id: str
    event: Event
    body: bytes
    received_at: datetime
    source: str = WEBHOOK_SOURCE
    traceparent: str | None = None

    @property
    def useful(self) -> bool:
        return self.event.about is not None

    def row(self) -> dict[str, Any]:
        return {
            "id": self.event_id,
            "type": self.event.type,
            "subject": self.event.subject,
            "source": self.source,
            "payload": self.body,
            "event_at": self.event.event_at,
            "received_at": self.received_at,
            "state": EventState.PENDING if self.useful else EventState.IGNORED,
            "next_attempt_at": self.received_at if self.useful else None,
            "traceparent": self.traceparent,
            "reason": None if self.useful else f"Dust ignores events of type {self.event.type}.",
        }


def receive(
    connection: Connection, event_id: str, event: Event, body: bytes, *, now: datetime, source: str = WEBHOOK_SOURCE
) -> Receipt:
    """Store the event unless its id is stored already. The caller commits before it answers."""
    arrival = Arrival(event_id=event_id, event=event, body=body, received_at=now, source=source)
    return receive_many(connection, [arrival])[0]


def receive_many(connection: Connection, arrivals: Sequence[Arrival]) -> list[Receipt]:
    """As `receive`, for many events. Returns their receipts in the same order."""
    # Sorted by id, so that concurrent inserts of the same ids cannot deadlock. The first of two equal ids is stored.
    in_order = sorted({arrival.event_id: arrival for arrival in reversed(arrivals)}.items())
    rows = [arrival.row() for _, arrival in in_order]
    added = insert_missing(connection, webhook_event, rows, returning="id")
    receipts = []
    for arrival in arrivals:
        if arrival.event_id not in added:
            receipts.append(Receipt.DUPLICATE)
            continue
        added.remove(arrival.event_id)
        receipts.append(Receipt.ACCEPTED if arrival.useful else Receipt.IGNORED)
    return receipts
