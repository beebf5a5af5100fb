"""Admin API: outgoing webhooks, each with its attempts."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, Field

from bridge.api.admin.routing import admin_router
from bridge.clock import now
from bridge.db import transaction
from bridge.http.paging import Cursor, Limit, Listing, decode_number_cursor, encode_cursor
from bridge.http.problems import describe_problems
from bridge.http.schemas import Id, PathId
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

router = admin_router("/deliveries")


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
