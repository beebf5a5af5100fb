"""Ask Medusa what changed without our hearing of it."""

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
    """One poll; the number of orders that had drifted. What could not be asked is asked by the next poll."""
    if not get_settings().medusa_url:
        return 0
    try:
        found = reconcile(get_medusa())
    except Unavailable as error:
        log.warning("reconcile_waits", reason=error.message)
        return 0
    if found.drifted or found.customers or found.retried:
        publish(INBOX_DRAIN)
    return len(found.drifted)
