"""Store API: what one of the customer's orders did to their points."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from bridge.api.store.routing import store_router
from bridge.db import transaction
from bridge.http.auth import Customer
from bridge.http.problems import describe_problems
from bridge.http.schemas import PathId
from bridge.ids import OrderId
from bridge.settlement.order_points import OrderPoints, read_order_points

router = store_router()


class OwnOrderResponse(BaseModel):
    """What an order did to the customer's points, in whole points."""

    order_id: str
    order_number: str | None = Field(description="The number that the shopper knows the order by")
    state: Literal["pending", "booked"] = Field(
        description="`pending`: it will earn later, or what it earned cannot be spent yet; `booked`: all is settled"
    )
    earned: int = Field(description="Points that the customer has from it now, pending ones included")
    pending: int = Field(description="The part of earned that cannot be spent yet")
    matures_at: datetime | None = Field(
        description="When the first pending points can be spent; null if none are, or if they wait for the payment"
    )
    taken_back: int = Field(description="Points it had earned that a cancel, a return or a change took back")
    spent: int = Field(description="Points that were spent on it")
    given_back: int = Field(description="The part of spent that a cancel, a return or a change gave back")
    placed_at: datetime | None


@router.get("/orders/{order_id}", responses=describe_problems(401, 404, 422, 503))
def read_own_order(customer_id: Customer, order_id: PathId) -> OwnOrderResponse:
    """Return what one of the customer's orders has earned, spent and given back. Orders of others are not found."""
    with transaction() as connection:
        return own_order_view(read_order_points(connection, customer_id, OrderId(order_id)))


def own_order_view(points: OrderPoints) -> OwnOrderResponse:
    return OwnOrderResponse(
        order_id=points.order_id,
        order_number=points.number,
        state="pending" if points.pending or points.waits else "booked",
        earned=points.earned,
        pending=points.pending,
        matures_at=points.matures_at,
        taken_back=points.taken_back,
        spent=points.spent,
        given_back=points.given_back,
        placed_at=points.placed_at,
    )
