"""Outgoing webhooks: their payloads for the OpenAPI schema, and the Admin API for their deliveries."""

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
    id: str = Field(description="The `webhook-id`; the same for all attempts")
    type: NoticeType
    customer_id: str | None
    state: NoticeState
    attempts: int = Field(description="Number of attempts since it was created or since the last requested retry")
    reason: str | None = Field(description="Why the last attempt failed")
    created_at: datetime
    next_attempt_at: datetime | None
    delivered_at: datetime | None


class DeliveryAttempt(BaseModel):
    at: datetime
    milliseconds: int
    status: int | None = Field(description="HTTP status of the response; null if there was none")
    reason: str | None = Field(description="Why it failed; null if it succeeded")
    answer: str | None = Field(description="Beginning of the response body")


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
    """List outgoing webhooks, sent and waiting, newest first. They are kept for 30 days."""
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
    """Retry all failed deliveries (state `parked`)."""
    with transaction() as connection:
        retried = retry_parked(connection, now=now())
    wake(NOTICES_SEND)
    return DeliveryRetries(retried=retried, message=f"{retried} deliveries will be tried again.")


@router.get("/{delivery_id}", responses=describe_problems(404, 422))
def read_one_delivery(delivery_id: PathId) -> DeliveryDetail:
    """Return one delivery with its data and all attempts."""
    with transaction() as connection:
        found, log = read_delivery(connection, delivery_id), read_log(connection, delivery_id)
    return DeliveryDetail(
        **_view(found).model_dump(), data=found.data, log=[DeliveryAttempt(**vars(each)) for each in log]
    )


@router.post("/{delivery_id}/retry", name="retry_delivery", status_code=202, responses=describe_problems(404, 422))
def retry(delivery_id: PathId) -> DeliveryRetry:
    """Send a delivery again with the same id: a failed one, or one that the receiver accepted and lost."""
    with transaction() as connection:
        retried = retry_delivery(connection, delivery_id, now=now())
    if retried:
        wake(NOTICES_SEND)
    message = "It will be sent again." if retried else "Nothing to do: it is waiting to be sent."
    return DeliveryRetry(id=delivery_id, retried=retried, message=message)


def _view(found: Delivery) -> DeliveryResponse:
    return DeliveryResponse(**{name: getattr(found, name) for name in DeliveryResponse.model_fields})


class _Booked(BaseModel):
    """A ledger transaction of the customer, with the balance after it. All amounts are whole points."""

    customer_id: str
    amount: int = Field(description="Always positive")
    balance: int
    available: int = Field(description="Points that can be spent now")
    pending: int = Field(description="Points earned that have not matured; not part of the balance")
    transaction_id: str
    version: int = Field(
        description="Number of the transaction in the customer's ledger account; the higher version is newer"
    )
    event_at: datetime = Field(description="When it happened in the shop")


class EarnedData(_Booked):
    kind: str = Field(examples=["earn", "bonus"])
    reference_type: str = Field(examples=["order"])
    reference_id: str
    matures_at: datetime | None = Field(
        description="When the points can be spent, if they are still pending until then"
    )
    awaits_payment: bool = Field(
        description="Whether the points are pending until the order is paid; matures_at is then null"
    )
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
    amount: int = Field(description="Points that expire on that day (UTC) unless they are spent before")
    expires_at: datetime = Field(description="When the first of them expire")
    lots: list[ExpiringLot]


class FailedData(BaseModel):
    what: Literal["redemption", "event"]
    code: str = Field(description="Stable, for programs", examples=["medusa_refused", "unknown_in_medusa"])
    redemption_id: str | None = None
    customer_id: str | None = None
    amount: int | None = Field(None, description="Points that were held and are available to the customer again")
    event_id: str | None = None
    event_type: str | None = None
    subject: str | None = Field(None, description="The order, customer, … that the event is about")


class _Notice(BaseModel):
    timestamp: datetime = Field(description="When it was created; the same for all attempts")


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


WebhookId = Annotated[str, Header(alias="webhook-id", description="The same for all attempts: process each id once")]
WebhookTimestamp = Annotated[int, Header(alias="webhook-timestamp", description="Whole seconds since 1970")]
WebhookSignature = Annotated[str, Header(alias="webhook-signature", description="`v1,<base64>`, Standard Webhooks 1.0")]

# Requests that Dust sends, not endpoints that it serves. They appear under `webhooks` in the OpenAPI schema.
webhooks = APIRouter(
    responses={
        200: {"description": "Any 2xx is a receipt"},
        "4XX": {"description": "As any other answer: it is sent again, for 24 hours; but 410 ends that"},
    }
)


@webhooks.post(NoticeType.EARNED.value)
def earned(notice: EarnedNotice, id: WebhookId, timestamp: WebhookTimestamp, signature: WebhookSignature) -> None:
    """A customer earned points, with an order or as a bonus."""


@webhooks.post(NoticeType.REDEEMED.value)
def redeemed(notice: RedeemedNotice, id: WebhookId, timestamp: WebhookTimestamp, signature: WebhookSignature) -> None:
    """An order used a redemption: its points are spent."""


@webhooks.post(NoticeType.EXPIRING.value)
def expiring(notice: ExpiringNotice, id: WebhookId, timestamp: WebhookTimestamp, signature: WebhookSignature) -> None:
    """Points expire soon (`earn.expiry_notice_days`). Sent once for each lot."""


@webhooks.post(NoticeType.EXPIRED.value)
def expired(notice: ExpiredNotice, id: WebhookId, timestamp: WebhookTimestamp, signature: WebhookSignature) -> None:
    """Points expired."""


@webhooks.post(NoticeType.FAILED.value)
def failed(notice: FailedNotice, id: WebhookId, timestamp: WebhookTimestamp, signature: WebhookSignature) -> None:
    """A redemption or the processing of an event failed. It is for the shop, not for a customer."""
