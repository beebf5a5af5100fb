"""History of events that did not succeed at once: a row for each failed attempt and each retry.

An event that succeeds at its first attempt has no rows here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from bridge.db.rows import TypedRow
from bridge.inbox.tables import Outcome, webhook_attempt


@dataclass(frozen=True, kw_only=True)
class Attempt(TypedRow):
    at: datetime
    outcome: Outcome
    attempt: int
    error_code: str | None = None
    reason: str | None = None
    actor: str | None = None


def store_attempt(connection: Connection, event_ids: Iterable[str], attempt: Attempt) -> None:
    """Add the same attempt to the history of each of these events."""
    rows = [{"event_id": event_id, **attempt.columns()} for event_id in event_ids]
    if rows:
        connection.execute(webhook_attempt.insert().values(rows))


def read_history(connection: Connection, event_id: str) -> list[Attempt]:
    """The event's history, oldest first; empty if it succeeded at once."""
    query = select(webhook_attempt).where(webhook_attempt.c.event_id == event_id).order_by(webhook_attempt.c.id)
    return [Attempt.from_row(row) for row in connection.execute(query)]
