"""Dust prices into Medusa's product metadata."""

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
# After so many failures without a success in between, it is Medusa and not a product. The next sweep goes on.
_MAX_FAILURES = 3
_MAX_SECONDS = 20.0


@app.task(name=PRODUCTS_MIRROR, retryable=True)
def mirror() -> int:
    """Carry over what Medusa does not have yet; the number of products. One that fails has a back-off of its own."""
    with transaction() as connection:
        waiting = unmirrored_products(connection, _MAX_AT_ONCE, now=now())
    done, failures, end = 0, 0, time.monotonic() + _MAX_SECONDS
    for product_id in waiting:
        try:
            done += mirror_product(product_id, get_medusa(), now=now())
            failures = 0
        except Unavailable as error:
            log.warning("mirror_waits", reason=error.message, product_id=product_id)
            failures += 1
        if failures == _MAX_FAILURES or time.monotonic() > end:
            break
    return done
