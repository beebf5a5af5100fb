"""Store API: the customer's redemptions."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Annotated

from fastapi import Query, Request
from pydantic import BaseModel, Field
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from bridge.api.store.routing import store_router
from bridge.clock import now
from bridge.db import transaction
from bridge.errors import Unavailable
from bridge.http.auth import Customer
from bridge.http.micro_batching import MicroBatcher
from bridge.http.paging import Cursor, Limit, Listing, decode_cursor, split_page
from bridge.http.problems import describe_problems
from bridge.http.schemas import FromAttributes, Id, PathId
from bridge.http.thread_limits import FOR_CUSTOMERS, MedusaBusy
from bridge.ids import CustomerId
from bridge.inbox.reconcile import store_orders
from bridge.medusa.amounts import plain_text
from bridge.medusa.client import get_medusa
from bridge.medusa.currencies import format_amount
from bridge.queue.enqueue import INBOX_DRAIN, REDEMPTIONS_ADVANCE, enqueue
from bridge.redemptions.medusa_sync import advance
from bridge.redemptions.repository import Redemption, list_redemptions, pending_among, read_redemption
from bridge.redemptions.service import AlreadyUsed, request_release
from bridge.redemptions.tables import RedemptionKind, RedemptionState

router = store_router()

# The same as in the plugin's src/api/forward.ts, which waits for the answer.
_MAX_WAIT_SECONDS = 30
# Most codes are ready within a second. After two, Medusa is slow or away, and many requests may be waiting.
_LOOK_EVERY_SECONDS, _LATER_EVERY_SECONDS, _LATER = 0.1, 0.5, 2.0


class PromotionResponse(FromAttributes):
    code: str
    promotion_id: str | None
    product_id: str | None
    quantity: int | None


class RedemptionResponse(BaseModel):
    id: str
    customer_id: str
    state: RedemptionState
    kind: RedemptionKind
    dust: int = Field(description="Points held")
    dust_captured: int = Field(description="Points that an order used")
    value: str | None = Field(description="The discount in major units; null if it depends on the cart")
    currency_code: str | None
    reward_id: str | None = Field(description="Id of the redeemed reward of the catalogue, if any")
    percent: str | None = Field(description="For kind `percentage`: the percentage taken off the cart's items")
    min_cart: str | None = Field(
        description="Minimum total of the cart's items for the code to apply, with tax, in major units"
    )
    promotions: list[PromotionResponse]
    code: str | None = Field(description="The code, if there is exactly one")
    cart_id: str | None
    order_id: str | None
    expires_at: datetime
    reason: str | None = Field(description="Why it failed, was released or is waiting, as a sentence")
    created_at: datetime


class RedemptionEnvelope(BaseModel):
    redemption: RedemptionResponse


SERVER_TIME = "The server's time, for countdowns: the clock of a shopper's device may be wrong"


class RedemptionListResponse(BaseModel):
    redemptions: list[RedemptionResponse]
    next_cursor: str | None
    now: datetime = Field(description=SERVER_TIME)


def amount_of(redemption: Redemption, value: Decimal | None, rounding: str = ROUND_FLOOR) -> str | None:
    """Return an amount of the redemption in its currency. One without a currency has no amounts."""
    if value is None or redemption.currency_code is None:
        return None
    return format_amount(value, redemption.currency_code, rounding)


def redemption_response(redemption: Redemption) -> RedemptionResponse:
    codes = redemption.codes
    changed = {
        "value": amount_of(redemption, redemption.value),
        "percent": None if redemption.percent is None else plain_text(redemption.percent),
        "min_cart": amount_of(redemption, redemption.min_cart, ROUND_CEILING),
        "promotions": codes,
        "code": codes[0].code if len(codes) == 1 else None,
    }
    return RedemptionResponse(**vars(redemption) | changed)


# The stored reason may quote Medusa and name carts and orders. Only the shop may see that.
REASONS_FOR_SHOPPERS = {
    RedemptionState.PENDING: "The code is not ready yet: the shop keeps trying.",
    RedemptionState.ACTIVE: "The code could not be put into the cart: please enter it there.",
    RedemptionState.FAILED: "The code could not be made. The points are available again: please try again.",
}
RELEASE_REQUESTED = "The points come back as soon as the code is withdrawn: the shop keeps trying."


def own_redemption_response(redemption: Redemption) -> RedemptionResponse:
    """The redemption for the customer: the reason is replaced by a sentence for shoppers."""
    response = redemption_response(redemption)
    if redemption.reason is None or redemption.state is RedemptionState.RELEASED:
        return response
    reason = REASONS_FOR_SHOPPERS.get(redemption.state)
    if redemption.state is RedemptionState.ACTIVE and redemption.release_requested_at:
        reason = RELEASE_REQUESTED
    return response.model_copy(update={"reason": reason})


@router.get("/redemptions", responses=describe_problems(401, 422, 503))
def read_own_redemptions(
    customer_id: Customer,
    limit: Limit = 20,
    cursor: Cursor = None,
    cart_id: Annotated[Id | None, Query(description="Only redemptions that were made for this cart")] = None,
    state: Annotated[RedemptionState | None, Query(description="Only redemptions in this state")] = None,
) -> RedemptionListResponse:
    """List the customer's redemptions, newest first."""
    with transaction() as connection:
        redemptions = list_redemptions(
            connection,
            customer_id=customer_id,
            cart_id=cart_id,
            state=state,
            before=decode_cursor(Listing.REDEMPTIONS, cursor),
            limit=limit + 1,
        )
    return redemption_list(redemptions, limit, own_redemption_response)


def redemption_list(
    redemptions: list[Redemption], limit: int, to_response: Callable[[Redemption], RedemptionResponse]
) -> RedemptionListResponse:
    """One page of redemptions, which were read with a limit of `limit + 1`."""
    page, following = split_page(Listing.REDEMPTIONS, redemptions, limit, lambda redemption: redemption.id)
    responses = [to_response(redemption) for redemption in page]
    return RedemptionListResponse(redemptions=responses, next_cursor=following, now=now())


@router.get("/redemptions/{redemption_id}", responses=describe_problems(401, 404, 422, 503))
async def read_own_redemption(
    request: Request,
    customer_id: Customer,
    redemption_id: PathId,
    wait: Annotated[
        float, Query(ge=0, le=_MAX_WAIT_SECONDS, allow_inf_nan=False, description="Seconds to wait while it is pending")
    ] = 0,
) -> RedemptionEnvelope:
    """Return a redemption of the customer. With `wait`: once it is no longer pending, or when the time is up."""
    clock = asyncio.get_running_loop().time
    started = clock()
    redemption = await run_in_threadpool(_read_redemption, customer_id, redemption_id)
    if redemption.state is not RedemptionState.PENDING or not wait:
        return RedemptionEnvelope(redemption=own_redemption_response(redemption))
    is_pending = True
    while is_pending and clock() < started + wait and not await request.is_disconnected():
        # All waiting requests poll at the same moments, so one statement answers them.
        interval = _LOOK_EVERY_SECONDS if clock() < started + _LATER else _LATER_EVERY_SECONDS
        await asyncio.sleep(interval - clock() % interval)
        is_pending = await _pending(redemption_id)
    redemption = await run_in_threadpool(_read_redemption, customer_id, redemption_id)
    return RedemptionEnvelope(redemption=own_redemption_response(redemption))


def _read_pending(connection: Connection, redemption_ids: list[str]) -> list[bool]:
    pending = pending_among(connection, redemption_ids)
    return [redemption_id in pending for redemption_id in redemption_ids]


_pending: MicroBatcher[str, bool] = MicroBatcher("pending-redemptions", _read_pending)


def _read_redemption(customer_id: CustomerId, redemption_id: str) -> Redemption:
    with transaction() as connection:
        return read_redemption(connection, customer_id, redemption_id)


@router.delete("/redemptions/{redemption_id}", responses=describe_problems(401, 404, 409, 422, 429, 503))
async def release(customer_id: Customer, redemption_id: PathId) -> RedemptionEnvelope:
    """Release a redemption: remove its promotion from Medusa, then make its points available again.

    503 means that Medusa could not be called. The release is stored and happens automatically once Medusa answers.
    """
    redemption = await run_in_threadpool(_request_release, customer_id, redemption_id)
    if redemption.open:
        try:
            redemption = await FOR_CUSTOMERS.run(_withdraw, redemption_id)
        except Unavailable:
            await run_in_threadpool(enqueue, REDEMPTIONS_ADVANCE, redemption_id)
            raise
    if redemption.state is RedemptionState.CAPTURED:
        raise AlreadyUsed(redemption_id=redemption_id, order_id=redemption.order_id)
    return RedemptionEnvelope(redemption=own_redemption_response(redemption))


def _request_release(customer_id: CustomerId, redemption_id: str) -> Redemption:
    with transaction() as connection:
        return request_release(connection, customer_id, redemption_id, now=now())


def _withdraw(redemption_id: str) -> Redemption:
    outcome = advance(redemption_id, get_medusa())
    if outcome.orders:
        store_orders(outcome.orders)
        enqueue(INBOX_DRAIN)
        raise AlreadyUsed(redemption_id=redemption_id, order_id=str(outcome.orders[0]["id"]))
    if outcome.unfinished:
        raise MedusaBusy
    return outcome.redemption
