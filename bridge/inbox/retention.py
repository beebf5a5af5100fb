"""Bodies of events that are done with are kept for a while, for people who look into what happened, and then no more.

An order's snapshot is most of what Dust stores and all that it stores of a person. The row stays for ever: it is how an
event that comes again is known.
"""

from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select, update

from bridge.inbox.events import only_ids
from bridge.inbox.tables import EventState, webhook_event

_DONE = [EventState.HANDLED.value, EventState.IGNORED.value]
# A body of ids alone is shorter, but for ids of an unheard-of length.
_BYTES_OF_IDS = 300


def strip_old_bodies(
    connection: Connection, *, before: datetime, limit: int, after: str = ""
) -> tuple[int, str | None]:
    """Reduce bodies that came before then to their ids, `limit` of them, in the order of the events' ids.

    Returns how many became shorter, and where to go on; None at the end. What waits or has failed keeps its body.
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
        {"b_id": row.id, "b_payload": body}
        for row in rows
        if (body := only_ids(bytes(row.payload))) != bytes(row.payload)
    ]
    if changes:
        statement = update(webhook_event).where(webhook_event.c.id == bindparam("b_id"))
        connection.execute(statement.values(payload=bindparam("b_payload")), changes)
    return len(changes), rows[-1].id if len(rows) == limit else None
