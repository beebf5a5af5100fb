"""Admin API: what a change of an order would do to its customer's points, before it is made in Medusa."""

from decimal import Decimal
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from bridge.api.admin.routing import admin_router
from bridge.clock import now
from bridge.db import transaction
from bridge.errors import NotFound
from bridge.http.medusa_threads import FOR_OPERATORS
from bridge.http.problems import describe_problems
from bridge.http.schemas import Body, Id, PathId
from bridge.ids import OrderId
from bridge.medusa.amounts import Number
from bridge.medusa.changed_orders import OrderChange, changed
from bridge.medusa.client import UnknownInMedusa, get_medusa
from bridge.medusa.orders import read_order
from bridge.settlement.preview import preview_order

router = admin_router("/orders")


class UnknownOrder(NotFound):
    """Medusa does not have the order."""

    code = "unknown_order"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"Medusa has no order {order_id}.", order_id=order_id)


class ReturnedItem(Body):
    line_item_id: Id
    quantity: Annotated[Number, Field(gt=0, description="The units that come back now")]


class PreviewRequest(Body):
    """What the merchant is about to do: cancel the order, or receive a return or refund money, or both."""

    cancel: bool = False
    returns: Annotated[tuple[ReturnedItem, ...], Field(max_length=100)] = ()
    refund: Annotated[
        Number | None,
        Field(ge=0, description="In major units. Without it, a return refunds what the customer is owed"),
    ] = None

    @model_validator(mode="after")
    def _one_change(self) -> Self:
        changes = bool(self.returns) or self.refund is not None
        if self.cancel is changes:
            raise ValueError("give `cancel`, or `returns`, `refund` or both")
        if len({item.line_item_id for item in self.returns}) < len(self.returns):
            raise ValueError("name each line item once in `returns`")
        return self


class PreviewResponse(BaseModel):
    """All amounts are points, pending ones included, and 0 or more, unless a balance is negative.

    What is taken and given is that of all customers who had points of the order; the balances are its customer's.
    """

    order_id: str
    customer_id: str | None
    earned_taken_back: int = Field(description="Earned points that would be taken back")
    earned_added: int = Field(description="Points that the order would earn in addition")
    spent_given_back: int = Field(description="Spent points that the customer would get back")
    spent_added: int = Field(description="Points that would be spent in addition")
    balance_before: int
    balance_after: int
    available_after: int
    pending_before: int
    pending_after: int
    escrow_before: int = Field(description="Points that a guest can claim")
    escrow_after: int
    note: str | None = Field(description="Why the order earns nothing, or less than it is worth")


@router.post("/{order_id}/preview", responses=describe_problems(400, 404, 422, 429, 503))
async def preview_change(order_id: PathId, body: PreviewRequest) -> PreviewResponse:
    """Preview a cancel, a return or a refund by settlement's own computation. Changes nothing."""
    return await FOR_OPERATORS.run(_preview, OrderId(order_id), body)


def _preview(order_id: OrderId, body: PreviewRequest) -> PreviewResponse:
    try:
        document = get_medusa().order(order_id)
    except UnknownInMedusa:
        raise UnknownOrder(order_id) from None
    change = OrderChange(
        cancel=body.cancel,
        returns={item.line_item_id: Decimal(item.quantity) for item in body.returns},
        refund=body.refund,
    )
    # First as it is: a document that cannot be read is reported as such.
    read_order(document)
    order = read_order(changed(document, change, now=now()))
    with transaction() as connection:
        found = preview_order(connection, order, now=now())
    return PreviewResponse(
        order_id=order_id,
        customer_id=found.customer_id,
        earned_taken_back=found.earned_taken_back,
        earned_added=found.earned_added,
        spent_given_back=found.spent_given_back,
        spent_added=found.spent_added,
        balance_before=found.before.balance,
        balance_after=found.after.balance,
        available_after=found.after.available,
        pending_before=found.before.pending,
        pending_after=found.after.pending,
        escrow_before=found.escrow_before,
        escrow_after=found.escrow_after,
        note=found.note,
    )
