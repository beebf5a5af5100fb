"""Tasks for redemptions: move one on, and enqueue those that are due."""

from bridge.clock import now
from bridge.db import transaction
from bridge.errors import Unavailable
from bridge.inbox.reconcile import store_orders
from bridge.medusa.client import get_medusa
from bridge.queue.enqueue import INBOX_DRAIN, REDEMPTIONS_ADVANCE, REDEMPTIONS_SWEEP, publish
from bridge.redemptions.medusa_sync import advance as advance_redemption
from bridge.redemptions.repository import claim_due
from bridge.redemptions.tables import RedemptionState
from workers.app import app

_MAX_AT_ONCE = 500


@app.task(name=REDEMPTIONS_ADVANCE, retryable=True)
def advance(redemption_id: str) -> str:
    """Do the next step of one redemption.

    Its row has the time of the next attempt, and the periodic job enqueues it.
    """
    try:
        outcome = advance_redemption(redemption_id, get_medusa())
    except Unavailable as error:
        return f"Rescheduled: {error.message}"
    if outcome.orders:
        store_orders(outcome.orders)
        publish(INBOX_DRAIN)
    if outcome.unfinished:
        publish(REDEMPTIONS_ADVANCE, redemption_id)
    return outcome.redemption.state.value


@app.task(name=REDEMPTIONS_SWEEP, retryable=True)
def sweep() -> int:
    """Enqueue a task for each due redemption; return how many."""
    with transaction() as connection:
        due = claim_due(connection, now=now(), limit=_MAX_AT_ONCE)
    for redemption_id, state in due.items():
        # No shopper waits for expiring or repeated checks: they must not delay new redemptions.
        publish(REDEMPTIONS_ADVANCE, redemption_id, queue=None if state is RedemptionState.PENDING else "medusa")
    return len(due)
