"""Task that copies product settings to Medusa's product metadata."""

import time

import structlog

from bridge.clock import now
from bridge.db import transaction
from bridge.errors import Unavailable
from bridge.medusa.client import get_medusa
from bridge.products.mirror import mirror_product
from bridge.products.settings import unmirrored_products
from bridge.queue.enqueue import PRODUCTS_MIRROR
from workers.app import app

log = structlog.get_logger(__name__)

_MAX_AT_ONCE = 100
# After this many failures in a row the cause is Medusa, not a product. The next periodic run continues.
_MAX_FAILURES = 3
_MAX_SECONDS = 20.0


@app.task(name=PRODUCTS_MIRROR, retryable=True)
def mirror() -> int:
    """Copy the settings that Medusa does not have yet; return how many. A product that fails has its own back-off."""
    with transaction() as connection:
        waiting = unmirrored_products(connection, _MAX_AT_ONCE, now=now())
    done, failures, end = 0, 0, time.monotonic() + _MAX_SECONDS
    for product_id in waiting:
        try:
            done += mirror_product(product_id, get_medusa(), now=now())
            failures = 0
        except Unavailable as error:
            log.warning("mirror_rescheduled", reason=error.message, product_id=product_id)
            failures += 1
        if failures == _MAX_FAILURES or time.monotonic() > end:
            break
    return done
