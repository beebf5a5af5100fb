"""Store API: redeem points."""

import hashlib
import json
from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from bridge.api.store.redemptions import RedemptionEnvelope, own_redemption_response
from bridge.api.store.routing import store_router
from bridge.http.auth import Customer
from bridge.http.idempotency_header import IdempotencyKey
from bridge.http.problems import describe_problems
from bridge.http.schemas import Body, Id
from bridge.http.thread_limits import FOR_CUSTOMERS
from bridge.ids import CustomerId, ProductId
from bridge.ledger.postings import MAX_DUST
from bridge.medusa.client import get_medusa
from bridge.programme.fields import RequestedCurrency
from bridge.queue.enqueue import REDEMPTIONS_ADVANCE, enqueue
from bridge.redemptions import service
from bridge.redemptions.pricing.terms import MAX_UNITS
from bridge.redemptions.repository import Redemption

router = store_router()

_MAX_PRODUCTS = 100


class ItemRequest(Body):
    product_id: Id
    quantity: Annotated[int, Field(strict=True, ge=1, le=MAX_UNITS)] = 1


_FORMS = (
    {"dust", "currency_code"},
    {"dust", "cart_id"},
    {"dust", "cart_id", "currency_code"},
    {"cart_id", "pay"},
    {"items"},
    {"items", "cart_id"},
    {"reward_id"},
    {"reward_id", "cart_id"},
)


class RedemptionRequest(Body):
    """One of: `dust` with `currency_code`; `dust` with `cart_id`; `cart_id` with `pay`; `items`, with `cart_id` or
    without; `reward_id`, with `cart_id` or without."""

    dust: int | Literal["max"] | None = Field(default=None, description="A number of points, or `max`")
    currency_code: RequestedCurrency | None = None
    cart_id: Id | None = None
    pay: Literal["dust_only"] | None = None
    items: Annotated[list[ItemRequest], Field(min_length=1, max_length=_MAX_PRODUCTS)] | None = None
    reward_id: Id | None = None

    # Shoppers type this number. Pydantic's message would name each member of the union, so we write our own.
    @field_validator("dust", mode="before")
    @classmethod
    def _whole_number(cls, value: object) -> object:
        if value is None or value == "max" or (type(value) is int and 1 <= value <= MAX_DUST):
            return value
        raise ValueError("Please enter a whole number of points, 1 or more.")

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        given = {name for name in type(self).model_fields if getattr(self, name)}
        if given not in _FORMS:
            raise ValueError("give dust and currency_code, dust and cart_id, cart_id and pay, items, or reward_id")
        return self

    def to_request(self, customer_id: CustomerId, key: str) -> service.Request:
        items = Counter[ProductId]()
        for item in self.items or ():
            items[ProductId(item.product_id)] += item.quantity
        return service.Request(
            customer_id=customer_id,
            idempotency_key=key,
            request_hash=self.fingerprint(),
            cart_id=self.cart_id,
            dust=None if self.dust == "max" else self.dust,
            currency_code=self.currency_code,
            pay_dust_only=self.pay is not None,
            items=items,
            reward_id=self.reward_id,
        )

    def fingerprint(self) -> str:
        """Hash of the request: equal for equal requests, however their JSON is formatted."""
        body = self.model_dump(mode="json")
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


@router.post("/redemptions", status_code=202, responses=describe_problems(400, 401, 404, 409, 422, 429, 503))
async def redeem(customer_id: Customer, body: RedemptionRequest, key: IdempotencyKey) -> RedemptionEnvelope:
    """Hold points and create a promotion for them. Then GET the redemption with `wait` until it is active."""
    redemption = await FOR_CUSTOMERS.run(_redeem, body.to_request(customer_id, key))
    return RedemptionEnvelope(redemption=own_redemption_response(redemption))


def _redeem(request: service.Request) -> Redemption:
    redemption = service.redeem(request, get_medusa())
    enqueue(REDEMPTIONS_ADVANCE, redemption.id)
    return redemption
