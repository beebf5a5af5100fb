"""Settings of products for points. Each change increments `version`; `mirrored_version` follows once Medusa has it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    DateTime,
    Integer,
    Row,
    Table,
    Text,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from bridge.db import metadata
from bridge.db.bulk import among
from bridge.db.rows import TypedRow
from bridge.errors import NotFound
from bridge.ids import ProductId

dust_product = Table(
    "dust_product",
    metadata,
    Column("product_id", Text, primary_key=True),
    Column("dust_only", Boolean, nullable=False),
    Column("dust_price", BigInteger),
    # A deleted setting stays until Medusa's copy is removed.
    Column("deleted", Boolean, nullable=False, server_default=text("false")),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("mirrored_version", BigInteger, nullable=False, server_default="0"),
    Column("mirror_error", Text),
    # Failed attempts to send this version, and when the next one is due.
    Column("mirror_attempts", Integer, nullable=False, server_default="0"),
    Column("mirror_retry_at", DateTime(timezone=True)),
    Column("updated_by", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("dust_price > 0", name="price"),
    CheckConstraint("NOT dust_only OR dust_price IS NOT NULL", name="dust_only_has_price"),
)


class UnknownProduct(NotFound):
    """The product has no settings for points."""

    code = "unknown_product"

    def __init__(self, product_id: str) -> None:
        super().__init__(f"Product {product_id} has no points settings.")


@dataclass(frozen=True, kw_only=True)
class ProductSettings(TypedRow):
    """A product's settings.

    `dust_price` is in whole points per unit; None if points cannot buy it. `mirrored` is true once Medusa has it.
    """

    product_id: ProductId
    dust_only: bool
    dust_price: int | None
    updated_by: str
    updated_at: datetime
    mirrored: bool
    mirror_error: str | None


@dataclass(frozen=True, kw_only=True)
class NewProductSettings:
    """The requested settings of a product."""

    product_id: ProductId
    dust_only: bool
    dust_price: int | None


def set_products(
    connection: Connection, requested: Iterable[NewProductSettings], *, actor: str, now: datetime
) -> list[ProductSettings]:
    """Store these settings, all or none."""
    rows = sorted((vars(product) for product in requested), key=lambda row: str(row["product_id"]))
    if not rows:
        return []
    statement = insert(dust_product)
    statement = statement.on_conflict_do_update(
        index_elements=["product_id"],
        set_={
            "dust_only": statement.excluded.dust_only,
            "dust_price": statement.excluded.dust_price,
            "deleted": False,
            "version": dust_product.c.version + 1,
            "mirror_error": None,
            "mirror_attempts": 0,
            "mirror_retry_at": None,
            "updated_by": actor,
            "updated_at": now,
        },
    )
    connection.execute(
        statement, [{**row, "updated_by": actor, "created_at": now, "updated_at": now} for row in rows]
    )  # fmt: skip
    return read_products(connection, [ProductId(str(row["product_id"])) for row in rows])


def delete_product(connection: Connection, product_id: ProductId, *, actor: str, now: datetime) -> None:
    """Delete a product's settings; its copy in Medusa is removed later. Raises `UnknownProduct`."""
    done = connection.execute(
        update(dust_product)
        .where(dust_product.c.product_id == product_id, ~dust_product.c.deleted)
        .values(
            dust_only=False,
            dust_price=None,
            deleted=True,
            version=dust_product.c.version + 1,
            mirror_attempts=0,
            mirror_retry_at=None,
            updated_by=actor,
            updated_at=now,
        )
    )
    if not done.rowcount:
        raise UnknownProduct(product_id)


def drop_settings_of_deleted(connection: Connection, product_id: ProductId) -> bool:
    """Stop mirroring a product that was deleted in Medusa; return whether it had settings.

    `dust_only` stays stored, for earlier orders that are settled later.
    """
    statement = (
        update(dust_product)
        .where(dust_product.c.product_id == product_id, ~dust_product.c.deleted)
        .values(deleted=True, mirrored_version=dust_product.c.version, mirror_error=None)
    )
    return bool(connection.execute(statement).rowcount)


def read_product(connection: Connection, product_id: ProductId) -> ProductSettings:
    """Return one product's settings. Raises `UnknownProduct`."""
    products = read_products(connection, [product_id])
    if not products:
        raise UnknownProduct(product_id)
    return products[0]


def read_products(connection: Connection, product_ids: Collection[ProductId]) -> list[ProductSettings]:
    """Return the settings of these products, by id, for those that have any."""
    query = select(dust_product).where(among(dust_product.c.product_id, product_ids), ~dust_product.c.deleted)
    return [_settings(row) for row in connection.execute(query.order_by(dust_product.c.product_id))]


def list_products(connection: Connection, *, limit: int, after: str | None = None) -> list[ProductSettings]:
    query = select(dust_product).where(~dust_product.c.deleted).order_by(dust_product.c.product_id).limit(limit)
    if after is not None:
        query = query.where(dust_product.c.product_id > after)
    return [_settings(row) for row in connection.execute(query)]


def dust_only_among(connection: Connection, product_ids: Collection[str]) -> set[ProductId]:
    """Return the products among these that are points-only, or were before they were deleted in Medusa."""
    query = select(dust_product.c.product_id).where(
        among(dust_product.c.product_id, product_ids), dust_product.c.dust_only
    )
    return {ProductId(product_id) for product_id in connection.scalars(query)} if product_ids else set()


def newest_dust_only(connection: Connection, *, limit: int) -> list[ProductId]:
    """Return points-only products, by id; if there are more than `limit`, those changed last."""
    query = select(dust_product.c.product_id).where(dust_product.c.dust_only, ~dust_product.c.deleted)
    newest = query.order_by(dust_product.c.updated_at.desc(), dust_product.c.product_id).limit(limit)
    return sorted(ProductId(product_id) for product_id in connection.scalars(newest))


def unmirrored_products(connection: Connection, limit: int, *, now: datetime) -> list[ProductId]:
    """Return products whose copy in Medusa is out of date and that are due, those that never failed first.

    It is out of date if Medusa does not have the settings yet, or still has them after they were deleted.
    """
    retry_at = dust_product.c.mirror_retry_at
    query = select(dust_product.c.product_id).where(
        dust_product.c.mirrored_version != dust_product.c.version, retry_at.is_(None) | (retry_at <= now)
    )
    return [
        ProductId(product_id) for product_id in connection.scalars(query.order_by(retry_at.nulls_first()).limit(limit))
    ]


def _settings(row: Row[tuple[object, ...]]) -> ProductSettings:
    return ProductSettings.from_row(row, mirrored=row.mirrored_version == row.version)
