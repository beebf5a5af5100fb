"""Task that asks Medusa for changes that no webhook reported."""

import structlog

from bridge.errors import Unavailable
from bridge.inbox.reconcile import reconcile
from bridge.medusa.client import get_medusa
from bridge.queue.enqueue import INBOX_DRAIN, RECONCILE_ORDERS, publish
from bridge.settings import get_settings
from workers.app import app

log = structlog.get_logger(__name__)


@app.task(name=RECONCILE_ORDERS, retryable=True)
def orders() -> int:
    """Poll Medusa once; return the number of orders that had drifted.

    If Medusa is unavailable, the next poll catches up.
    """
    if not get_settings().medusa_url:
        return 0
    try:
        result = reconcile(get_medusa())
    except Unavailable as error:
        log.warning("reconcile_rescheduled", reason=error.message)
        return 0
    if result.drifted or result.customers or result.retried:
        publish(INBOX_DRAIN)
    return len(result.drifted)
