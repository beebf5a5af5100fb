"""Admin API: points settings of products."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from bridge.api.admin.routing import admin_router
from bridge.api.admin.schemas import Dust
from bridge.clock import now
from bridge.db import transaction
from bridge.errors import FieldErrors, Unavailable
from bridge.http.auth import AdminOperator
from bridge.http.paging import Cursor, Limit, Listing, decode_cursor, split_page
from bridge.http.problems import describe_problems
from bridge.http.schemas import Body, FromAttributes, Id, PathProductId
from bridge.http.thread_limits import FOR_OPERATORS
from bridge.ids import ProductId
from bridge.medusa.client import get_medusa
from bridge.products.settings import NewProductSettings, delete_product, list_products, read_product, set_products
from bridge.products.variants import NOT_CHECKED, price_refusals
from bridge.queue.enqueue import PRODUCTS_MIRROR, enqueue

router = admin_router()


class ProductRequest(Body):
    """Points settings of a product. `dust_only` requires a `dust_price`."""

    dust_only: Annotated[bool, Field(strict=True)] = False
    dust_price: Annotated[Dust | None, Field(validate_default=True)] = None

    # Validated on the field, not on the model, so that a form can show the error next to the price.
    @field_validator("dust_price")
    @classmethod
    def _dust_only_has_a_price(cls, price: int | None, info: ValidationInfo) -> int | None:
        if info.data.get("dust_only") and price is None:
            raise ValueError("a product for points only needs a price in points")
        return price


class ProductBatchRequest(ProductRequest):
    product_id: Id


class ProductBatch(Body):
    products: Annotated[list[ProductBatchRequest], Field(min_length=1, max_length=1000)]


class AdminProduct(FromAttributes):
    product_id: str
    dust_only: bool
    dust_price: int | None
    updated_by: str
    updated_at: datetime
    warning: str | None = Field(default=None, description="What could not be checked, and what to do about it")
    mirrored: bool = Field(description="Whether Medusa's product metadata has these settings")
    mirror_error: str | None


class AdminProductListResponse(BaseModel):
    products: list[AdminProduct]
    next_cursor: str | None = None


class Deleted(BaseModel):
    """The response to a DELETE, in the shape that Medusa uses."""

    id: str
    object: str
    deleted: bool = True


@router.get("/products", responses=describe_problems(422))
def read_products(limit: Limit = 100, cursor: Cursor = None) -> AdminProductListResponse:
    """List the products with points settings, ordered by id."""
    with transaction() as connection:
        products = list_products(connection, limit=limit + 1, after=decode_cursor(Listing.PRODUCTS, cursor))
    page, following = split_page(Listing.PRODUCTS, products, limit, lambda product: product.product_id)
    return AdminProductListResponse(products=page, next_cursor=following)


@router.post("/products", responses=describe_problems(400, 422, 503))
async def write_products(batch: ProductBatch, operator: AdminOperator) -> AdminProductListResponse:
    """Set many products at once. It succeeds for all of them or for none."""
    wanted = {product.product_id: product for product in batch.products}
    fields = {product.product_id: f"products.{number}.dust_price" for number, product in enumerate(batch.products)}
    products = await FOR_OPERATORS.run(_set_products, list(wanted.values()), operator, fields)
    return AdminProductListResponse(products=products)


@router.get("/products/{product_id}", responses=describe_problems(404, 422))
def read_one_product(product_id: PathProductId) -> AdminProduct:
    """Return the points settings of one product."""
    with transaction() as connection:
        return AdminProduct.model_validate(read_product(connection, product_id))


@router.put("/products/{product_id}", responses=describe_problems(400, 422, 503))
async def write_product(product_id: PathProductId, body: ProductRequest, operator: AdminOperator) -> AdminProduct:
    """Set the points settings of one product. Medusa's product metadata follows within seconds.

    A product whose variants have different prices is refused. `warning` is set if Medusa could not be asked.
    """
    batch = [ProductBatchRequest(product_id=product_id, dust_only=body.dust_only, dust_price=body.dust_price)]
    products = await FOR_OPERATORS.run(_set_products, batch, operator, {product_id: "dust_price"})
    return products[0]


@router.delete("/products/{product_id}", responses=describe_problems(404, 422))
def drop_product(product_id: PathProductId, operator: AdminOperator) -> Deleted:
    """Remove the points settings of a product."""
    with transaction() as connection:
        delete_product(connection, product_id, actor=operator, now=now())
    enqueue(PRODUCTS_MIRROR)
    return Deleted(id=product_id, object="dust_product")


def _set_products(batch: list[ProductBatchRequest], actor: str, fields: dict[str, str]) -> list[AdminProduct]:
    """Write the settings. `fields` maps each product id to the request field with its price, for error messages."""
    warning = None
    try:
        refused = price_refusals({ProductId(product.product_id) for product in batch if product.dust_price}, get_medusa)
    except Unavailable:
        refused, warning = {}, NOT_CHECKED
    if refused:
        raise FieldErrors([{"field": fields[product], "message": why} for product, why in refused.items()])
    with transaction() as connection:
        requested = [NewProductSettings(**product.model_dump()) for product in batch]
        written = set_products(connection, requested, actor=actor, now=now())
    enqueue(PRODUCTS_MIRROR)
    return [AdminProduct(**vars(product), warning=warning if product.dust_price else None) for product in written]
