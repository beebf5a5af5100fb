"""Corrects times that a clock which was ahead has written.

Work is due at a time that the process which planned it wrote. If the database's clock was three hours ahead, the work
would wait for three hours after it was corrected. A time further ahead than Dust ever plans is set to now.
"""

from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Column, Connection, TextClause, select, text, update

from bridge.db import transaction
from bridge.db.bulk import among
from bridge.inbox.tables import webhook_event
from bridge.outgoing.tables import outgoing_sender, outgoing_webhook
from bridge.products.settings import dust_product
from bridge.redemptions.tables import dust_redemption
from bridge.settlement.tables import order_settlement
from bridge.simulation.tables import programme_simulation

log = structlog.get_logger(__name__)

# Above the longest wait of each column: three minutes for events, two for redemptions, leases of 90 seconds, five
# minutes for an outgoing address, two hours for an outgoing webhook, ten minutes for a product, an hour for an order at
# which Medusa fails; with jitter. `missing_since` and `started_at` are never ahead, and work waits for a time after
# them. The condition is that of a partial index, so that finished work is not read.
_MAX_WAITS: tuple[tuple[Column[Any], timedelta, TextClause], ...] = (
    (webhook_event.c.next_attempt_at, timedelta(minutes=10), text("state = 'pending'")),
    (dust_redemption.c.next_step_at, timedelta(minutes=10), text("next_step_at IS NOT NULL")),
    (dust_redemption.c.leased_until, timedelta(minutes=10), text("next_step_at IS NOT NULL")),
    (outgoing_sender.c.free_at, timedelta(minutes=10), text("true")),
    (outgoing_webhook.c.next_attempt_at, timedelta(hours=4), text("state = 'waiting'")),
    (dust_product.c.mirror_retry_at, timedelta(minutes=30), text("true")),
    (order_settlement.c.check_at, timedelta(hours=2), text("check_at IS NOT NULL")),
    (order_settlement.c.missing_since, timedelta(minutes=10), text("check_at IS NOT NULL")),
    (programme_simulation.c.started_at, timedelta(minutes=10), text("state = 'running'")),
)
_ROWS_AT_ONCE = 1000


def correct_future_times(*, now: datetime) -> int:
    """Set times that are too far ahead to `now`; return how many. Locked rows are left for the next time."""
    corrected = 0
    for column, max_wait, unfinished in _MAX_WAITS:
        with transaction() as connection:
            rows = _correct(connection, column, unfinished, latest=now + max_wait, now=now)
        if rows:
            log.warning("clock_was_ahead", column=str(column), rows=rows)
        corrected += rows
    return corrected


def _correct(
    connection: Connection, column: Column[Any], unfinished: TextClause, *, latest: datetime, now: datetime
) -> int:
    (key,) = column.table.primary_key
    ahead = select(key).where(unfinished, column > latest).limit(_ROWS_AT_ONCE).with_for_update(skip_locked=True)
    keys = connection.scalars(ahead).all()
    if keys:
        connection.execute(update(column.table).where(among(key, keys)).values({column.name: now}))
    return len(keys)
