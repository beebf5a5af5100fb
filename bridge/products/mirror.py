"""Copy a product's settings into its metadata in Medusa (`dust_only`, `dust_price`), without changing other keys."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, select, update

from bridge.db import transaction
from bridge.errors import DustError, Unavailable
from bridge.ids import ProductId
from bridge.medusa.client import Medusa
from bridge.medusa.errors import MedusaAway, UnknownInMedusa
from bridge.products.settings import dust_product
from bridge.queue.backoff import backoff_seconds

_MAX_WAIT_SECONDS = 600.0


def mirror_product(product_id: ProductId, medusa: Medusa, *, now: datetime) -> bool:
    """Update Medusa's copy; return False if it was up to date. A refusal is stored in the row.

    Raises `MedusaAway`, after storing it with the time of the product's next attempt.
    """
    with transaction() as connection:
        row = connection.execute(select(dust_product).where(dust_product.c.product_id == product_id)).one_or_none()
    if row is None or row.version == row.mirrored_version:
        return False
    error = None
    try:
        # Medusa merges the metadata into what exists, and removes a key that is sent empty.
        copy = {"dust_only": "", "dust_price": ""} if row.deleted else _metadata(row.dust_only, row.dust_price)
        medusa.set_product_metadata(product_id, copy)
    except UnknownInMedusa:
        error = "Medusa does not know this product."
    except Unavailable as away:
        _store_failure(row, away, now)
        raise
    except DustError as refusal:
        error = refusal.message
    with transaction() as connection:
        same_row = (dust_product.c.product_id == product_id) & (dust_product.c.version == row.version)
        if row.deleted:
            connection.execute(delete(dust_product).where(same_row))
        else:
            connection.execute(
                update(dust_product).where(same_row).values(
                    mirrored_version=row.version, mirror_error=error, mirror_attempts=0, mirror_retry_at=None
                )
            )  # fmt: skip
    return True


def _store_failure(row: Row[Any], error: Unavailable, now: datetime) -> None:
    """Store a failed attempt.

    If only this call failed, the product waits. If Medusa is unavailable, it is due again at once, after all others.
    """
    wait = 0.0
    if isinstance(error, MedusaAway) and error.only_this_call:
        wait = backoff_seconds(row.mirror_attempts + 4, max_seconds=_MAX_WAIT_SECONDS)
    with transaction() as connection:
        connection.execute(
            update(dust_product)
            .where(dust_product.c.product_id == row.product_id, dust_product.c.version == row.version)
            .values(
                mirror_attempts=row.mirror_attempts + 1,
                mirror_retry_at=now + timedelta(seconds=wait),
                mirror_error=error.message,
            )
        )


def _metadata(dust_only: bool, dust_price: int | None) -> dict[str, object]:
    return {"dust_only": dust_only, "dust_price": "" if dust_price is None else dust_price}
