"""Dust prices into Medusa's product metadata."""

import structlog

from bridge.clock import now
from bridge.db import transaction
from bridge.errors import Unavailable
from bridge.medusa.client import get_medusa
from bridge.products.mirror import mirror_product
from bridge.products.settings import unmirrored_products
from bridge.wake import PRODUCTS_MIRROR
from workers.app import app

log = structlog.get_logger(__name__)

_MOST_AT_ONCE = 100


@app.task(name=PRODUCTS_MIRROR, retryable=True)
def mirror() -> int:
    """Carry over what Medusa does not have yet; the number of products."""
    with transaction() as connection:
        waiting = unmirrored_products(connection, _MOST_AT_ONCE)
    try:
        return sum(mirror_product(product_id, get_medusa(), now=now()) for product_id in waiting)
    except Unavailable as error:
        log.warning("mirror_waits", reason=error.message, products=len(waiting))
        return 0
