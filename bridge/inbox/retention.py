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
# In a large inbox nearly all rows are reduced already. Looking through all of them at once would exceed the statement
# timeout.
_ROWS_LOOKED_AT = 20_000


def strip_old_bodies(
    connection: Connection, *, before: datetime, limit: int, after: str = ""
) -> tuple[int, str | None]:
    """Reduce up to `limit` bodies received before `before` to their ids, in the order of event ids after `after`.

    Looks at a limited number of rows. Returns the number of changed bodies and the id to continue after (None at the
    end). Pending and failed events keep their bodies.
    """
    event = webhook_event.c
    looked_at = select(event.id).where(event.id > after).order_by(event.id).limit(_ROWS_LOOKED_AT).subquery()
    last: str | None = connection.scalar(select(func.max(looked_at.c.id)))
    if last is None:
        return 0, None
    query = (
        select(event.id, event.payload)
        .where(
            event.id > after,
            event.id <= last,
            event.received_at < before,
            event.state.in_(_DONE),
            func.octet_length(event.payload) > _BYTES_OF_IDS,
        )
        .order_by(event.id)
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
    return len(changes), rows[-1].id if len(rows) == limit else last
