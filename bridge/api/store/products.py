"""Store API: what products cost in points."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query, Response
from pydantic import BaseModel

from bridge.api.store.routing import store_router
from bridge.db import transaction
from bridge.http.etag import UNCHANGED, IfNoneMatch, cacheable_response
from bridge.http.paging import Cursor, Limit, Listing, decode_cursor, split_page
from bridge.http.problems import describe_problems
from bridge.http.schemas import FromAttributes, Id
from bridge.ids import ProductId
from bridge.products.settings import ProductSettings, list_products, read_products

router = store_router()

_MAX_PRODUCTS = 100


class ProductResponse(FromAttributes):
    dust_only: bool
    dust_price: int | None


class ProductMapResponse(BaseModel):
    products: dict[str, ProductResponse]
    next_cursor: str | None = None


@router.get("/products", response_model=ProductMapResponse, responses=UNCHANGED | describe_problems(422, 429, 503))
def read_dust_products(
    product_id: Annotated[list[Id] | None, Query(max_length=_MAX_PRODUCTS)] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return points settings by product id. Products without settings are left out. Public and cacheable."""
    after, following = decode_cursor(Listing.PRODUCTS, cursor), None
    with transaction() as connection:
        if product_id:
            page: Sequence[ProductSettings] = read_products(connection, [ProductId(id_) for id_ in product_id])
        else:
            products = list_products(connection, limit=limit + 1, after=after)
            page, following = split_page(Listing.PRODUCTS, products, limit, lambda product: product.product_id)
    answer = ProductMapResponse(products={product.product_id: product for product in page}, next_cursor=following)
    return cacheable_response(answer, if_none_match)
