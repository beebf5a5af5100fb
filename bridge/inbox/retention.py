"""Retention: reduces the bodies of processed events to ids once they are old.

Bodies are kept for some time for troubleshooting. The order snapshots in them are most of the data that Dust stores,
and all of its personal data. The row is never deleted, because it identifies repeated deliveries of the event.
"""

from datetime import datetime

from sqlalchemy import Connection, func, select

from bridge.db.bulk import update_rows
from bridge.inbox.events import strip_to_ids
from bridge.inbox.tables import EventState, webhook_event

_DONE = [EventState.HANDLED, EventState.IGNORED]
# A body with only ids is shorter, unless the ids are unusually long.
_BYTES_OF_IDS = 300


def strip_old_bodies(
    connection: Connection, *, before: datetime, limit: int, after: str = ""
) -> tuple[int, str | None]:
    """Reduce up to `limit` bodies received before `before` to their ids, in the order of event ids after `after`.

    Returns the number of changed bodies and the id to continue after (None at the end). Pending and failed events keep
    their bodies.
    """
    query = (
        select(webhook_event.c.id, webhook_event.c.payload)
        .where(
            webhook_event.c.id > after,
            webhook_event.c.received_at < before,
            webhook_event.c.state.in_(_DONE),
            func.octet_length(webhook_event.c.payload) > _BYTES_OF_IDS,
        )
        .order_by(webhook_event.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = connection.execute(query).all()
    changes = [
        {"id": row.id, "payload": body}
        for row in rows
        if (body := strip_to_ids(bytes(row.payload))) != bytes(row.payload)
    ]
    update_rows(connection, webhook_event, changes, key=("id",))
    return len(changes), rows[-1].id if len(rows) == limit else None
