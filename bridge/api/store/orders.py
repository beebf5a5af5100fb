"""Store API: what the customer's orders did to their points."""

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field

from bridge.api.store.quotes import RulePartResponse
from bridge.api.store.routing import store_router
from bridge.db import transaction
from bridge.http.auth import Customer
from bridge.http.problems import describe_problems
from bridge.http.schemas import FromAttributes, Id, PathOrderId
from bridge.ids import OrderId
from bridge.ledger.customer_statement import EntryState
from bridge.settlement.order_points import read_order_points, read_points_of_orders

router = store_router()

_MAX_ORDERS = 50


class LinePointsResponse(FromAttributes):
    """Points that paid for units of a line."""

    line_item_id: str
    dust: int


class OwnOrderResponse(FromAttributes):
    """What an order did to the customer's points, in whole points."""

    order_id: str
    order_number: str | None = Field(description="The number that the shopper knows the order by")
    state: EntryState = Field(
        description="`pending`: it will earn later, or what it earned cannot be spent yet; `booked`: all is settled"
    )
    earned: int = Field(description="Points that the customer has from it now, pending ones included")
    breakdown: list[RulePartResponse] = Field(
        description="These points by the rules that give them; empty if rules do not explain all of them"
    )
    pending: int = Field(description="The part of earned that cannot be spent yet")
    matures_at: datetime | None = Field(
        description="When the first pending points can be spent; null if none are, or if they wait for the payment"
    )
    taken_back: int = Field(description="Points it had earned that a cancel, a return or a change took back")
    spent: int = Field(description="Points that were spent on it")
    spent_on_lines: list[LinePointsResponse] = Field(
        description="The part of spent that paid for units of products, as the order was placed"
    )
    given_back: int = Field(description="The part of spent that a cancel, a return or a change gave back")
    placed_at: datetime | None


class OwnOrderListResponse(BaseModel):
    orders: list[OwnOrderResponse]


@router.get("/orders", responses=describe_problems(401, 422, 503))
def list_own_orders(
    customer_id: Customer, order_id: Annotated[list[Id], Query(min_length=1, max_length=_MAX_ORDERS)]
) -> OwnOrderListResponse:
    """Return what these orders of the customer have earned, spent and given back, newest first.

    Orders of others, and those that are not settled yet, are left out.
    """
    with transaction() as connection:
        orders = read_points_of_orders(connection, customer_id, [OrderId(id_) for id_ in order_id])
    return OwnOrderListResponse(orders=[OwnOrderResponse.model_validate(order) for order in orders])


@router.get("/orders/{order_id}", responses=describe_problems(401, 404, 422, 503))
def read_own_order(customer_id: Customer, order_id: PathOrderId) -> OwnOrderResponse:
    """Return what one of the customer's orders has earned, spent and given back. Orders of others are not found."""
    with transaction() as connection:
        return OwnOrderResponse.model_validate(read_order_points(connection, customer_id, order_id))
