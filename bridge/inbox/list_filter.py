"""Filter for events of the inbox."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement

from bridge.db.bulk import matching
from bridge.inbox.tables import EventState, webhook_event


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """Events that match all given criteria. Times are those of receipt: at or after `since`, before `until`."""

    state: EventState | None = None
    type: str | None = None
    subject: str | None = None
    code: str | None = None
    without_code: bool = False
    """Only events without an error code."""
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        event = webhook_event.c
        wanted = {
            event.state: self.state,
            event.type: self.type,
            event.subject: self.subject,
            event.error_code: self.code,
        }
        yield from matching(wanted)
        if self.without_code:
            yield event.error_code.is_(None)
        if self.since is not None:
            yield event.received_at >= self.since
        if self.until is not None:
            yield event.received_at < self.until
