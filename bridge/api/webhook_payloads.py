"""The payloads of outgoing webhooks, for the OpenAPI schema. Most are built in `bridge/ledger/outgoing_webhooks.py`."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Header
from pydantic import BaseModel, Field

from bridge.outgoing.tables import OutgoingWebhookType


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
    amount: int = Field(
        description="Points that expire on one day (in the programme's time zone) unless they are spent before"
    )
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


class TestData(BaseModel):
    message: str


class _Payload(BaseModel):
    timestamp: datetime = Field(description="When it was created; the same for all attempts")


class EarnedWebhook(_Payload):
    type: Literal[OutgoingWebhookType.EARNED]
    data: EarnedData


class RedeemedWebhook(_Payload):
    type: Literal[OutgoingWebhookType.REDEEMED]
    data: RedeemedData


class ExpiringWebhook(_Payload):
    type: Literal[OutgoingWebhookType.EXPIRING]
    data: ExpiringData


class ExpiredWebhook(_Payload):
    type: Literal[OutgoingWebhookType.EXPIRED]
    data: _Booked


class FailedWebhook(_Payload):
    type: Literal[OutgoingWebhookType.FAILED]
    data: FailedData


class TestWebhook(_Payload):
    type: Literal[OutgoingWebhookType.TEST]
    data: TestData


WebhookId = Annotated[str, Header(alias="webhook-id", description="The same for all attempts: process each id once")]
WebhookTimestamp = Annotated[int, Header(alias="webhook-timestamp", description="Whole seconds since 1970")]
WebhookSignature = Annotated[str, Header(alias="webhook-signature", description="`v1,<base64>`, Standard Webhooks 1.0")]

# Requests that Dust sends, not endpoints that it serves. They appear under `webhooks` in the OpenAPI schema.
webhooks = APIRouter(
    generate_unique_id_function=lambda route: route.name,
    responses={
        200: {"description": "Any 2xx is a receipt"},
        "4XX": {"description": "As any other answer: it is sent again, for 24 hours; but 410 ends that"},
    },
)


@webhooks.post(OutgoingWebhookType.EARNED.value)
def earned(webhook: EarnedWebhook, id: WebhookId, timestamp: WebhookTimestamp, signature: WebhookSignature) -> None:
    """A customer earned points, with an order or as a bonus."""


@webhooks.post(OutgoingWebhookType.REDEEMED.value)
def redeemed(webhook: RedeemedWebhook, id: WebhookId, timestamp: WebhookTimestamp, signature: WebhookSignature) -> None:
    """An order used a redemption: its points are spent."""


@webhooks.post(OutgoingWebhookType.EXPIRING.value)
def expiring(webhook: ExpiringWebhook, id: WebhookId, timestamp: WebhookTimestamp, signature: WebhookSignature) -> None:
    """Points expire soon (`earn.expiry_notice_days`). Sent once for each lot."""


@webhooks.post(OutgoingWebhookType.EXPIRED.value)
def expired(webhook: ExpiredWebhook, id: WebhookId, timestamp: WebhookTimestamp, signature: WebhookSignature) -> None:
    """Points expired."""


@webhooks.post(OutgoingWebhookType.FAILED.value)
def failed(webhook: FailedWebhook, id: WebhookId, timestamp: WebhookTimestamp, signature: WebhookSignature) -> None:
    """A redemption or the processing of an event failed. It is for the shop, not for a customer."""


@webhooks.post(OutgoingWebhookType.TEST.value)
def test(webhook: TestWebhook, id: WebhookId, timestamp: WebhookTimestamp, signature: WebhookSignature) -> None:
    """A merchant tests the receiver. Answer 2xx and do nothing."""
