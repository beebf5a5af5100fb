"""Admin API: what an order did to its customer's points, and what a change of it in Medusa would do."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from bridge.api.admin.customers import StepResponse
from bridge.api.admin.guests import EscrowResponse
from bridge.api.admin.routing import admin_router
from bridge.api.store.orders import OwnOrderResponse
from bridge.clock import now
from bridge.db import transaction
from bridge.errors import NotFound
from bridge.http.problems import describe_problems
from bridge.http.schemas import Body, FromAttributes, Id, PathOrderId
from bridge.http.thread_limits import FOR_OPERATORS
from bridge.ids import OrderId
from bridge.medusa.amounts import NonNegativeNumber, PositiveNumber
from bridge.medusa.client import Json, Medusa, get_medusa
from bridge.medusa.errors import UnknownInMedusa
from bridge.medusa.orders import UnreadableOrder, read_order
from bridge.medusa.previewed_orders import OrderChange, changed, with_open_change
from bridge.reports.explain import explain_order
from bridge.settlement.order_points import read_any_order_points
from bridge.settlement.preview import preview_order

router = admin_router("/orders")


class EscrowEntryResponse(FromAttributes):
    kind: str = Field(description="`escrowed`, `taken_back`, `claimed` or `expired`")
    amount: int = Field(description="Positive when points were put into escrow, negative when they left it")
    created_at: datetime


class GuestEscrowResponse(EscrowResponse):
    entries: list[EscrowEntryResponse] = Field(description="How the points in escrow changed, oldest first")


class OrderPointsResponse(OwnOrderResponse):
    """What an order did to the points of the customer whom it belongs to."""

    customer_id: str | None = Field(description="Medusa's record of the guest, if a guest placed it")
    escrow: int = Field(description="Points that a guest can claim")
    note: str | None = Field(description="Why the order earns nothing, or less than it is worth")
    explanation: list[str] = Field(description="What happened to its points, in English sentences, oldest first")
    guest_escrow: GuestEscrowResponse | None = Field(
        description="For sentences in another language: its points in escrow, if a guest placed it"
    )
    steps: list[StepResponse] = Field(
        description="For sentences in another language: its transactions, oldest first, of all customers who had it"
    )


class UnknownOrder(NotFound):
    """Medusa does not have the order."""

    code = "unknown_order"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"Medusa has no order {order_id}.", order_id=order_id)


@router.get("/{order_id}", responses=describe_problems(404, 422))
def read_order_points(order_id: PathOrderId) -> OrderPointsResponse:
    """Return what an order has earned, spent and given back, and why."""
    with transaction() as connection:
        points = read_any_order_points(connection, order_id)
        explanation = explain_order(connection, order_id)
    escrow = explanation.escrow
    return OrderPointsResponse.model_validate(
        {
            **vars(points),
            "state": points.state,
            "explanation": explanation.sentences,
            "guest_escrow": {**vars(escrow), "entries": explanation.entries} if escrow else None,
            "steps": explanation.steps,
        }
    )


class ReturnedItem(Body):
    line_item_id: Id
    quantity: Annotated[PositiveNumber, Field(description="The units that come back now")]


class PreviewRequest(Body):
    """What the merchant is about to do: cancel the order, confirm a change of it, receive a return, refund money.

    A return and a refund can be previewed together.
    """

    cancel: bool = False
    open_change: Annotated[
        bool, Field(description="Confirm the order edit, return, exchange or claim that is open in Medusa")
    ] = False
    returns: Annotated[tuple[ReturnedItem, ...], Field(max_length=100)] = ()
    refund: Annotated[
        NonNegativeNumber | None,
        Field(description="In major units. Without it, a return refunds what the customer is owed"),
    ] = None

    @model_validator(mode="after")
    def _one_change(self) -> Self:
        if [self.cancel, self.open_change, bool(self.returns) or self.refund is not None].count(True) != 1:
            raise ValueError("give `cancel`, or `open_change`, or `returns`, `refund` or both")
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
async def preview_change(order_id: PathOrderId, body: PreviewRequest) -> PreviewResponse:
    """Preview a change of the order by settlement's own computation. Changes nothing."""
    return await FOR_OPERATORS.run(_preview, order_id, body)


def _preview(order_id: OrderId, body: PreviewRequest) -> PreviewResponse:
    medusa = get_medusa()
    try:
        document = medusa.order(order_id)
    except UnknownInMedusa:
        raise UnknownOrder(order_id) from None
    # First as it is: a document that cannot be read is reported as such.
    read_order(document)
    try:
        order = read_order(_with_open_change(medusa, document) if body.open_change else _changed(document, body))
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        # `read_order` takes numbers as text too, and looks at fewer fields.
        raise UnreadableOrder("The order's document has another shape than Medusa's.") from error
    with transaction() as connection:
        preview = preview_order(connection, order, now=now())
    return PreviewResponse(
        **vars(preview),
        order_id=order_id,
        balance_before=preview.before.balance,
        balance_after=preview.after.balance,
        available_after=preview.after.available,
        pending_before=preview.before.pending,
        pending_after=preview.after.pending,
    )


def _changed(document: Json, body: PreviewRequest) -> Json:
    change = OrderChange(
        cancel=body.cancel,
        returns={item.line_item_id: Decimal(item.quantity) for item in body.returns},
        refund=body.refund,
    )
    return changed(document, change, now=now())


def _with_open_change(medusa: Medusa, document: Json) -> Json:
    preview = medusa.order_with_open_change(OrderId(document["id"]))
    present = {item["id"] for item in document["items"]}
    new = {item["product_id"] for item in preview["items"] if item["id"] not in present and item["product_id"]}
    return with_open_change(document, preview, medusa.product_attributes(new), now=now())
