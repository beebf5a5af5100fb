"""Carry a product's settings into its metadata in Medusa (`dust_only`, `dust_price`), whatever else stands there."""

from datetime import datetime

from sqlalchemy import delete, select, update

from bridge.db import transaction
from bridge.errors import DustError, Unavailable
from bridge.ids import ProductId
from bridge.medusa.client import Medusa, UnknownInMedusa
from bridge.products.settings import dust_product


def mirror_product(product_id: ProductId, medusa: Medusa, *, now: datetime) -> bool:
    """Bring Medusa's copy up to date; False when it was already. Raises `MedusaAway`; a refusal is noted in the row."""
    with transaction() as connection:
        row = connection.execute(select(dust_product).where(dust_product.c.product_id == product_id)).one_or_none()
    if row is None or row.version == row.mirrored_version:
        return False
    error = None
    try:
        # Medusa merges the metadata it is sent into what is there, and drops a key that is sent empty.
        copy = {"dust_only": "", "dust_price": ""} if row.deleted else _metadata(row.dust_only, row.dust_price)
        medusa.set_product_metadata(product_id, copy)
    except UnknownInMedusa:
        error = "Medusa does not know this product."
    except Unavailable:
        raise
    except DustError as refusal:
        error = refusal.message
    with transaction() as connection:
        same_row = (dust_product.c.product_id == product_id) & (dust_product.c.version == row.version)
        if row.deleted:
            connection.execute(delete(dust_product).where(same_row))
        else:
            connection.execute(
                update(dust_product).where(same_row).values(mirrored_version=row.version, mirror_error=error)
            )  # fmt: skip
    return True


def _metadata(dust_only: bool, dust_price: int | None) -> dict[str, object]:
    return {"dust_only": dust_only, "dust_price": "" if dust_price is None else dust_price}
