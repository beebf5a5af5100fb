"""Admin API: outgoing webhooks, each with its deliveries (attempts)."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, Field

from bridge.api.admin.events import RetryManyResponse, RetryResponse
from bridge.api.admin.routing import admin_router
from bridge.clock import now
from bridge.db import transaction
from bridge.http.paging import Cursor, Limit, Listing, decode_number_cursor, split_page
from bridge.http.problems import describe_problems
from bridge.http.schemas import Body, FromAttributes, Id, PathId
from bridge.ids import CustomerId
from bridge.medusa.times import IsoTime
from bridge.outgoing import queries
from bridge.outgoing.tables import OutgoingWebhookState, OutgoingWebhookType
from bridge.queue.enqueue import OUTGOING_SEND, enqueue

router = admin_router("/outgoing-webhooks")


class OutgoingWebhookResponse(FromAttributes):
    id: str = Field(description="The `webhook-id`; the same for all attempts")
    type: OutgoingWebhookType
    customer_id: str | None
    state: OutgoingWebhookState
    attempts: int = Field(description="Number of attempts since it was created or since the last requested retry")
    reason: str | None = Field(description="Why the last attempt failed")
    created_at: datetime
    next_attempt_at: datetime | None
    delivered_at: datetime | None


class DeliveryResponse(FromAttributes):
    at: datetime
    milliseconds: int
    status: int | None = Field(description="HTTP status of the response; null if there was none")
    reason: str | None = Field(description="Why it failed; null if it succeeded")
    answer: str | None = Field(description="Beginning of the response body")


class OutgoingWebhookDetail(OutgoingWebhookResponse):
    data: dict[str, Any] = Field(description="What is sent as `data`")
    deliveries: list[DeliveryResponse] = Field(description="Every attempt, oldest first")


class OutgoingWebhookListResponse(BaseModel):
    outgoing_webhooks: list[OutgoingWebhookResponse]
    next_cursor: str | None


class OutgoingWebhookTest(BaseModel):
    id: str = Field(description="Its attempts are in `GET /admin/dust/outgoing-webhooks/{id}`")


class ReplayRequest(Body):
    since: IsoTime = Field(description="Only webhooks created at this time or later")
    until: IsoTime | None = Field(None, description="Only webhooks created before this time; null: now")
    type: OutgoingWebhookType | None = None
    dry_run: Annotated[bool, Field(strict=True, description="Only count them")] = False


class ReplayResponse(BaseModel):
    webhooks: int = Field(description="How many are sent again, or would be with `dry_run`")
    dry_run: bool


@router.get("", responses=describe_problems(422))
def read_outgoing_webhooks(
    limit: Limit = 20,
    cursor: Cursor = None,
    state: OutgoingWebhookState | None = None,
    type: OutgoingWebhookType | None = None,
    customer_id: Annotated[Id | None, Query()] = None,
) -> OutgoingWebhookListResponse:
    """List outgoing webhooks, sent and waiting, newest first. They are kept for 30 days."""
    with transaction() as connection:
        webhooks = queries.list_webhooks(
            connection,
            state=state,
            type=type,
            customer_id=CustomerId(customer_id) if customer_id else None,
            before=decode_number_cursor(Listing.OUTGOING_WEBHOOKS, cursor),
            limit=limit + 1,
        )
    page, following = split_page(Listing.OUTGOING_WEBHOOKS, webhooks, limit, lambda webhook: webhook.seq)
    return OutgoingWebhookListResponse(outgoing_webhooks=page, next_cursor=following)


@router.post("/retry", name="retry_outgoing_webhooks", status_code=202)
def retry_all_failed() -> RetryManyResponse:
    """Retry all failed webhooks."""
    with transaction() as connection:
        retried = queries.retry_failed(connection, now=now())
    enqueue(OUTGOING_SEND)
    return RetryManyResponse(retried=retried, message=f"{retried} webhooks will be sent again.")


@router.post("/ping", name="test_outgoing_webhooks", status_code=202, responses=describe_problems(409))
def send_test() -> OutgoingWebhookTest:
    """Send a webhook of the type `dust.test` to the shop's receiver. It is about no customer."""
    with transaction() as connection:
        webhook_id = queries.put_test(connection, now=now())
    enqueue(OUTGOING_SEND)
    return OutgoingWebhookTest(id=webhook_id)


@router.post("/replay", name="replay_outgoing_webhooks", status_code=202, responses=describe_problems(400, 422))
def replay_window(body: ReplayRequest) -> ReplayResponse:
    """Send all webhooks of a time window again, with the same ids. `dry_run` only counts them."""
    window = queries.ReplayWindow(since=body.since, until=body.until or now(), type=body.type)
    if body.dry_run:
        with transaction() as connection:
            return ReplayResponse(webhooks=queries.count_sent(connection, window), dry_run=True)
    replayed = queries.replay(window)
    enqueue(OUTGOING_SEND)
    return ReplayResponse(webhooks=replayed, dry_run=False)


@router.get("/{webhook_id}", responses=describe_problems(404, 422))
def read_outgoing_webhook(webhook_id: PathId) -> OutgoingWebhookDetail:
    """Return one webhook with its data and all attempts to deliver it."""
    with transaction() as connection:
        webhook = queries.read_webhook(connection, webhook_id)
        deliveries = queries.read_deliveries(connection, webhook_id)
    return OutgoingWebhookDetail.model_validate({**vars(webhook), "deliveries": deliveries})


@router.post(
    "/{webhook_id}/retry", name="retry_outgoing_webhook", status_code=202, responses=describe_problems(404, 422)
)
def retry(webhook_id: PathId) -> RetryResponse:
    """Send a webhook again with the same id: a failed one, or one that the receiver accepted and lost."""
    with transaction() as connection:
        retried = queries.retry_webhook(connection, webhook_id, now=now())
    if retried:
        enqueue(OUTGOING_SEND)
    message = "It will be sent again." if retried else "Nothing to do: it is waiting to be sent."
    return RetryResponse(id=webhook_id, retried=retried, message=message)
