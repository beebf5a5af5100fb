"""Store API: what products would earn, for product pages, lists and carts of a storefront's own."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field

from bridge.api.store.quotes import RulePartResponse
from bridge.api.store.routing import store_router
from bridge.clock import now
from bridge.db import transaction
from bridge.http.auth import OptionalCustomer
from bridge.http.problems import describe_problems
from bridge.http.schemas import Body, Id
from bridge.http.thread_limits import FOR_CUSTOMERS, FOR_GUESTS
from bridge.ids import CustomerId, OrderId, ProductId
from bridge.medusa.amounts import NonNegativeNumber
from bridge.medusa.cart_orders import future_order, line_of_product
from bridge.medusa.client import Json, get_medusa
from bridge.medusa.errors import UnknownInMedusa
from bridge.medusa.order_lines import Line
from bridge.medusa.orders import Order, OrderDetail
from bridge.programme.fields import RequestedCurrency
from bridge.programme.versions import current_version
from bridge.settlement.forecast import forecast_each

_MAX_ITEMS = 100
_MAX_UNITS = 1000

router = store_router()


class ForecastItem(Body):
    product_id: Id
    amount: Annotated[NonNegativeNumber, Field(description="The price shown for one unit, in major units")]
    quantity: Annotated[int, Field(strict=True, ge=1, le=_MAX_UNITS)] = 1


class ForecastRequest(Body):
    currency_code: RequestedCurrency
    items: Annotated[list[ForecastItem], Field(min_length=1, max_length=_MAX_ITEMS)]


class ForecastedItem(BaseModel):
    product_id: str
    earn: int = Field(description="Points for this item, if it is ordered alone")
    breakdown: list[RulePartResponse] = Field(description="These points by the rules that give them")


class Forecast(BaseModel):
    items: list[ForecastedItem] = Field(description="In the sequence of the request")
    total: int = Field(description="Points for all items in one order")


@router.post(
    "/forecast",
    responses=describe_problems(400, 401, 422, 429, 503),
    # The empty entry says that the token is optional.
    openapi_extra={"security": [{}]},
)
async def forecast_items(body: ForecastRequest, customer_id: OptionalCustomer) -> Forecast:
    """Forecast what products would earn. Public; with a customer's token it counts their tier, groups and limits."""
    threads = FOR_CUSTOMERS if customer_id else FOR_GUESTS
    return await threads.run(_forecast, customer_id, body)


def _forecast(customer_id: CustomerId | None, body: ForecastRequest) -> Forecast:
    with transaction() as connection:
        details = current_version(connection).programme.looks_at
    # No transaction is open during the calls to Medusa.
    attributes: Mapping[str, Json] = {}
    if details & {OrderDetail.CATEGORIES, OrderDetail.COLLECTIONS}:
        attributes = get_medusa().product_attributes({item.product_id for item in body.items})
    groups: frozenset[str] = frozenset()
    if customer_id and OrderDetail.CUSTOMER_GROUPS in details:
        groups = _groups(customer_id)
    lines = [
        line_of_product(
            ProductId(item.product_id),
            line_id=f"item_{number}",
            amount=Decimal(item.amount),
            quantity=item.quantity,
            attributes=attributes.get(item.product_id),
        )
        for number, item in enumerate(body.items)
    ]
    moment = now()

    def order(name: str, *lines: Line) -> Order:
        return future_order(
            OrderId(name),
            customer_id=customer_id,
            currency_code=body.currency_code,
            lines=lines,
            customer_group_ids=groups,
            now=moment,
        )

    with transaction() as connection:
        orders = [*(order(line.id, line) for line in lines), order("all", *lines)]
        *alone, together = forecast_each(connection, orders, now=moment)
    return Forecast(
        items=[
            ForecastedItem(product_id=item.product_id, earn=expected.dust, breakdown=expected.breakdown)
            for item, expected in zip(body.items, alone, strict=True)
        ],
        total=together.dust,
    )


def _groups(customer_id: CustomerId) -> frozenset[str]:
    try:
        return get_medusa().customer_groups(customer_id)
    except UnknownInMedusa:
        return frozenset()
