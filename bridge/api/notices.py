"""Webhooks out: how they look, for the OpenAPI schema, and what became of them, for operators."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query
from pydantic import BaseModel, Field

from bridge.api.schemas import Cursor, Id, Limit, Listing, PathId, decode_number_cursor, encode_cursor
from bridge.clock import now
from bridge.db import transaction
from bridge.http.auth import operator
from bridge.http.problems import describe_problems
from bridge.ids import CustomerId
from bridge.notices.listing import (
    Delivery,
    list_deliveries,
    read_delivery,
    read_log,
    retry_delivery,
    retry_parked,
)
from bridge.notices.outbox import NoticeType
from bridge.notices.tables import NoticeState
from bridge.queue.enqueue import NOTICES_SEND, wake

router = APIRouter(
    prefix="/admin/dust/deliveries",
    tags=["admin"],
    dependencies=[Depends(operator)],
    responses=describe_problems(401, 503),
)


class DeliveryResponse(BaseModel):
    id: str = Field(description="The `webhook-id`, the same over all attempts")
    type: NoticeType
    customer_id: str | None
    state: NoticeState
    attempts: int = Field(description="Since it was written, or since the last retry that was asked for")
    reason: str | None = Field(description="Why the last attempt failed")
    created_at: datetime
    next_attempt_at: datetime | None
    delivered_at: datetime | None


class DeliveryAttempt(BaseModel):
    at: datetime
    milliseconds: int
    status: int | None = Field(description="The HTTP status of the answer; null when there was none")
    reason: str | None = Field(description="Why it failed; null when it went through")
    answer: str | None = Field(description="How the receiver's answer began")


class DeliveryDetail(DeliveryResponse):
    data: dict[str, Any] = Field(description="What is sent as `data`")
    log: list[DeliveryAttempt] = Field(description="Every attempt, oldest first")


class DeliveryList(BaseModel):
    deliveries: list[DeliveryResponse]
    next_cursor: str | None


class DeliveryRetry(BaseModel):
    id: str
    retried: bool
    message: str


class DeliveryRetries(BaseModel):
    retried: int
    message: str


@router.get("", responses=describe_problems(422))
def read_deliveries(
    limit: Limit = 20,
    cursor: Cursor = None,
    state: NoticeState | None = None,
    type: NoticeType | None = None,
    customer_id: Annotated[Id | None, Query()] = None,
) -> DeliveryList:
    """What the shop was told or is to be told, newest first; kept for 30 days."""
    with transaction() as connection:
        found = list_deliveries(
            connection,
            state=state,
            type=type,
            customer_id=CustomerId(customer_id) if customer_id else None,
            before=decode_number_cursor(Listing.DELIVERIES, cursor),
            limit=limit + 1,
        )
    following = encode_cursor(Listing.DELIVERIES, found[limit - 1].seq if len(found) > limit else None)
    return DeliveryList(deliveries=[_view(each) for each in found[:limit]], next_cursor=following)


@router.post("/retry", name="retry_deliveries", status_code=202)
def retry_all_parked() -> DeliveryRetries:
    """Send every parked one again."""
    with transaction() as connection:
        retried = retry_parked(connection, now=now())
    wake(NOTICES_SEND)
    return DeliveryRetries(retried=retried, message=f"{retried} deliveries will be tried again.")


@router.get("/{delivery_id}", responses=describe_problems(404, 422))
def read_one_delivery(delivery_id: PathId) -> DeliveryDetail:
    """One delivery, with what is sent and every attempt."""
    with transaction() as connection:
        found, log = read_delivery(connection, delivery_id), read_log(connection, delivery_id)
    return DeliveryDetail(
        **_view(found).model_dump(), data=found.data, log=[DeliveryAttempt(**vars(each)) for each in log]
    )


@router.post("/{delivery_id}/retry", name="retry_delivery", status_code=202, responses=describe_problems(404, 422))
def retry(delivery_id: PathId) -> DeliveryRetry:
    """Send it again under its old id: a parked one, or one that the receiver took and lost."""
    with transaction() as connection:
        retried = retry_delivery(connection, delivery_id, now=now())
    if retried:
        wake(NOTICES_SEND)
    message = "It will be sent again." if retried else "Nothing to do: it is waiting to be sent."
    return DeliveryRetry(id=delivery_id, retried=retried, message=message)


def _view(found: Delivery) -> DeliveryResponse:
    return DeliveryResponse(**{name: getattr(found, name) for name in DeliveryResponse.model_fields})


class _Booked(BaseModel):
    """A row of the customer's book, and the figures after it. Whole dust."""

    customer_id: str
    amount: int = Field(description="Always above zero")
    balance: int
    available: int = Field(description="What may be spent now")
    pending: int = Field(description="Earned, but not matured yet; not part of the balance")
    transaction_id: str
    version: int = Field(description="Counts the rows of the customer's book: of two notices the higher one is newer")
    event_at: datetime = Field(description="When it happened in the shop")


class EarnedData(_Booked):
    kind: str = Field(examples=["earn", "bonus"])
    reference_type: str = Field(examples=["order"])
    reference_id: str
    matures_at: datetime | None = Field(description="When it may be spent, while that is to come; then it is pending")
    awaits_payment: bool = Field(description="Whether it is pending until the order is paid; then matures_at is null")
    expires_at: datetime | None


class RedeemedData(_Booked):
    kind: str = Field(examples=["redeem"])
    reference_type: str = Field(examples=["redemption"])
    reference_id: str


class ExpiringLot(BaseModel):
    lot_id: str
    amount: int
    expires_at: datetime


class ExpiringData(BaseModel):
    customer_id: str
    amount: int = Field(description="All that goes away on that day (UTC) unless it is spent before")
    expires_at: datetime = Field(description="When the first of it does")
    lots: list[ExpiringLot]


class FailedData(BaseModel):
    what: Literal["redemption", "event"]
    code: str = Field(description="Stable, for programs", examples=["medusa_refused", "unknown_in_medusa"])
    redemption_id: str | None = None
    customer_id: str | None = None
    amount: int | None = Field(None, description="Dust that was set aside and is the customer's again")
    event_id: str | None = None
    event_type: str | None = None
    subject: str | None = Field(None, description="The order, customer, … that the event is about")


class _Notice(BaseModel):
    timestamp: datetime = Field(description="When it was written; the same at every attempt")


class EarnedNotice(_Notice):
    type: Literal[NoticeType.EARNED]
    data: EarnedData


class RedeemedNotice(_Notice):
    type: Literal[NoticeType.REDEEMED]
    data: RedeemedData


class ExpiringNotice(_Notice):
    type: Literal[NoticeType.EXPIRING]
    data: ExpiringData


class ExpiredNotice(_Notice):
    type: Literal[NoticeType.EXPIRED]
    data: _Booked


class FailedNotice(_Notice):
    type: Literal[NoticeType.FAILED]
    data: FailedData


WebhookId = Annotated[str, Header(alias="webhook-id", description="The same over all attempts: handle each id once")]
WebhookTimestamp = Annotated[int, Header(alias="webhook-timestamp", description="Whole seconds since 1970")]
WebhookSignature = Annotated[str, Header(alias="webhook-signature", description="`v1,<base64>`, Standard Webhooks 1.0")]

# What Dust calls, not what it serves: they stand in the schema's `webhooks`.
webhooks = APIRouter(
    responses={
        200: {"description": "Any 2xx is a receipt"},
        "4XX": {"description": "As any other answer: it is sent again, for 24 hours; but 410 ends that"},
    }
)


@webhooks.post(NoticeType.EARNED.value)
def earned(notice: EarnedNotice, id: WebhookId, timestamp: WebhookTimestamp, signature: WebhookSignature) -> None:
    """A customer earned dust, with an order or as a bonus."""


@webhooks.post(NoticeType.REDEEMED.value)
def redeemed(notice: RedeemedNotice, id: WebhookId, timestamp: WebhookTimestamp, signature: WebhookSignature) -> None:
    """An order used a redemption: its dust is spent."""


@webhooks.post(NoticeType.EXPIRING.value)
def expiring(notice: ExpiringNotice, id: WebhookId, timestamp: WebhookTimestamp, signature: WebhookSignature) -> None:
    """Dust goes away soon (`earn.expiry_notice_days`); said once of each lot."""


@webhooks.post(NoticeType.EXPIRED.value)
def expired(notice: ExpiredNotice, id: WebhookId, timestamp: WebhookTimestamp, signature: WebhookSignature) -> None:
    """Dust has gone away."""


@webhooks.post(NoticeType.FAILED.value)
def failed(notice: FailedNotice, id: WebhookId, timestamp: WebhookTimestamp, signature: WebhookSignature) -> None:
    """For the shop and not for a customer: a redemption failed, or an event was parked for an operator."""
