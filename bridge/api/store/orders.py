"""Store API: what one of the customer's orders did to their points."""

from datetime import datetime

from pydantic import Field

from bridge.api.store.routing import store_router
from bridge.db import transaction
from bridge.http.auth import Customer
from bridge.http.problems import describe_problems
from bridge.http.schemas import FromAttributes, PathId
from bridge.ids import OrderId
from bridge.ledger.customer_statement import EntryState
from bridge.settlement.order_points import read_order_points

router = store_router()


class OwnOrderResponse(FromAttributes):
    """What an order did to the customer's points, in whole points."""

    order_id: str
    order_number: str | None = Field(description="The number that the shopper knows the order by")
    state: EntryState = Field(
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
        return OwnOrderResponse.model_validate(read_order_points(connection, customer_id, OrderId(order_id)))
