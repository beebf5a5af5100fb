"""Store API: redeem points."""

import hashlib
import json
from collections import Counter
from typing import Annotated, Any, Literal, Self

from fastapi import Depends, Response
from pydantic import Field, field_validator, model_validator

from bridge.api.store.carts import basket_for, dust_only_prices, own_cart, prices_of, product_ids, without
from bridge.api.store.redemptions import RedemptionEnvelope, own_redemption_view
from bridge.api.store.routing import store_router
from bridge.clock import now
from bridge.db import transaction
from bridge.http.auth import Customer
from bridge.http.idempotency import idempotency_key
from bridge.http.medusa_threads import FOR_CUSTOMERS
from bridge.http.problems import describe_problems
from bridge.http.schemas import Body, Id
from bridge.ids import CustomerId, ProductId
from bridge.ledger.postings import MAX_DUST
from bridge.medusa.carts import Cart
from bridge.medusa.client import get_medusa
from bridge.products.settings import read_products
from bridge.products.variants import VariantPricesDiffer, with_differing_prices
from bridge.programme.rules import CurrencyCode
from bridge.programme.versions import current_version
from bridge.queue.enqueue import REDEMPTIONS_ADVANCE, wake
from bridge.redemptions.pricing.rewards import UnknownReward, reward_terms
from bridge.redemptions.pricing.terms import (
    MAX_UNITS,
    NothingToPay,
    Terms,
    discount_terms,
    product_terms,
    require_whole_units,
    units_in_cart,
    unpaid_units,
)
from bridge.redemptions.repository import Redemption, units_paid_for_cart
from bridge.redemptions.service import Request as RequestedRedemption
from bridge.redemptions.service import create_redemption, find_first_response

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
    currency_code: CurrencyCode | None = None
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

    @field_validator("currency_code", mode="before")
    @classmethod
    def _lower_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        given = {name for name in type(self).model_fields if getattr(self, name)}
        if given not in _FORMS:
            raise ValueError("give dust and currency_code, dust and cart_id, cart_id and pay, items, or reward_id")
        return self

    def fingerprint(self) -> str:
        """Hash of the request: equal for equal requests, however their JSON is formatted."""
        wish = self.model_dump(mode="json")
        if self.reward_id is None:
            # The hash from before rewards existed, so that older idempotency keys still find their response.
            del wish["reward_id"]
        return hashlib.sha256(json.dumps(wish, sort_keys=True).encode()).hexdigest()


@router.post(
    "/redemptions",
    status_code=202,
    response_model=RedemptionEnvelope,
    responses=describe_problems(400, 401, 404, 409, 422, 429, 503),
)
async def redeem(
    customer_id: Customer, wish: RedemptionRequest, key: Annotated[str, Depends(idempotency_key)]
) -> Response:
    """Hold points and create a promotion for them. Then GET the redemption with `wait` until it is active."""
    return await FOR_CUSTOMERS.run(_redeem, customer_id, wish, key)


def _redeem(customer_id: CustomerId, wish: RedemptionRequest, key: str) -> Response:
    request = RequestedRedemption(
        customer_id=customer_id, idempotency_key=key, request_hash=wish.fingerprint(), cart_id=wish.cart_id
    )
    with transaction() as connection:
        answer = find_first_response(connection, request)
    if answer is None:
        # Fail before points are held if Medusa is not configured.
        get_medusa()
        answer = _promise(request, wish, own_cart(customer_id, wish.cart_id) if wish.cart_id else None)
        wake(REDEMPTIONS_ADVANCE, answer["redemption"]["id"])
    return Response(json.dumps(answer), 202, media_type="application/json")


def _mixed_prices(wish: RedemptionRequest, cart: Cart | None) -> set[ProductId]:
    """Products of this request whose variants differ in price. It calls Medusa, so keep it outside a transaction."""
    asked = {ProductId(item.product_id) for item in wish.items or ()}
    with transaction() as connection:
        if wish.pay:
            asked |= set(dust_only_prices(read_products(connection, product_ids(cart))))
        if wish.reward_id:
            reward = current_version(connection).programme.redeem.reward(wish.reward_id)
            asked |= {ProductId(reward.product_id)} if reward and reward.product_id else set()
    return with_differing_prices(asked, get_medusa()) if asked else set()


def _promise(request: RequestedRedemption, wish: RedemptionRequest, cart: Cart | None) -> dict[str, Any]:
    mixed = _mixed_prices(wish, cart)
    with transaction() as connection:
        version = current_version(connection)
        rules = version.programme.redeem
        wanted_ids = [ProductId(item.product_id) for item in wish.items or ()]
        settings = read_products(connection, [*product_ids(cart), *wanted_ids])
        prices = prices_of(settings)
        dust_only = dust_only_prices(settings)

        def terms_for(available: int) -> Terms:
            if wish.items:
                wanted = Counter[ProductId]()
                for item in wish.items:
                    wanted[ProductId(item.product_id)] += item.quantity
                for product_id in sorted(mixed & set(prices)):
                    raise VariantPricesDiffer(product_id)
                if cart:
                    paid = units_paid_for_cart(connection, request.customer_id, cart)
                    units_in_cart(cart, prices, wanted, paid)
                return product_terms(prices, wanted)
            if wish.pay and cart:
                # Read under the account's lock, so that a second tab paying for this cart sees the units of the first.
                paid = units_paid_for_cart(connection, request.customer_id, cart)
                wanted = unpaid_units(cart, without(dust_only, mixed), paid)
                if not wanted:
                    # A quote leaves these products out too. If nothing else is due, this error tells the shopper why.
                    for product_id in unpaid_units(cart, mixed, paid):
                        raise VariantPricesDiffer(product_id)
                    require_whole_units(cart, dust_only)
                    raise NothingToPay
                return product_terms(prices, wanted)
            # Also read under the lock, so that a second tab sees the discounts of the first.
            basket = basket_for(connection, request.customer_id, cart, dust_only, version.programme) if cart else None
            if wish.reward_id:
                reward = rules.reward(wish.reward_id)
                if reward is None:
                    raise UnknownReward
                return reward_terms(rules, reward, cart=cart, basket=basket, mixed_prices=mixed)
            return discount_terms(
                rules,
                dust=None if wish.dust == "max" else wish.dust,
                currency_code=cart.currency_code if cart else str(wish.currency_code),
                available=available,
                basket=basket,
            )

        return create_redemption(
            connection, request, terms_for=terms_for, response_for=_first_answer, version=version, now=now()
        )  # fmt: skip


def _first_answer(redemption: Redemption) -> dict[str, Any]:
    return RedemptionEnvelope(redemption=own_redemption_view(redemption)).model_dump(mode="json")
