"""Store API: what a cart or an amount would earn, and what points can pay for it."""

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Self

from pydantic import BaseModel, Field, model_validator

from bridge.api.store.redemptions import SERVER_TIME, amount_of
from bridge.api.store.rewards import QuotedReward, quoted_rewards
from bridge.api.store.routing import store_router
from bridge.clock import now
from bridge.db import transaction
from bridge.http.auth import Customer
from bridge.http.problems import describe_problems
from bridge.http.schemas import Body, FromAttributes, Id
from bridge.http.thread_limits import FOR_CUSTOMERS, FOR_GUESTS
from bridge.ids import CustomerId, OrderId, ProductId
from bridge.ledger.store import read_spendable
from bridge.medusa.amounts import PositiveNumber
from bridge.medusa.cart_orders import future_order, line_of_product, order_of_cart
from bridge.medusa.carts import Cart
from bridge.medusa.client import get_medusa
from bridge.medusa.currencies import format_amount
from bridge.medusa.orders import Order
from bridge.products.settings import read_products
from bridge.products.variants import products_with_differing_prices
from bridge.programme.fields import RequestedCurrency
from bridge.programme.versions import current_version
from bridge.redemptions import carts
from bridge.redemptions.pricing.basket import Basket, basket_of_amount
from bridge.redemptions.pricing.terms import discount_offer, units_without_credit, unpaid_units
from bridge.redemptions.repository import Redemption, open_for_cart, units_paid_for_cart
from bridge.redemptions.reward_offers import offer_rewards
from bridge.redemptions.service import TooManyOpenRedemptions, has_max_open
from bridge.redemptions.tables import RedemptionKind
from bridge.settlement.forecast import forecast
from bridge.settlement.kept_forecasts import store_forecast

router = store_router()


class QuoteRequest(Body):
    """What to quote: a cart, or an amount in a currency."""

    cart_id: Id | None = None
    amount: PositiveNumber | None = None
    currency_code: RequestedCurrency | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        given = {name for name in type(self).model_fields if getattr(self, name) is not None}
        if given not in ({"cart_id"}, {"amount", "currency_code"}):
            raise ValueError("give cart_id, or amount and currency_code")
        return self


class PricedItem(BaseModel):
    """Units of a product that points can still pay for, and their total price in points (`dust`)."""

    product_id: str
    quantity: int
    dust: int


class RulePartResponse(FromAttributes):
    """The points that one rule gives; negative for a limit."""

    rule: str = Field(
        description="`rate`, `fixed points`, `shipping`, `limit`, or the name of a multiplier or of the customer's tier"
    )
    dust: int


class QuotedRedemption(BaseModel):
    """An open redemption of this cart."""

    id: str
    code: str | None = Field(description="The code, if there is exactly one")
    kind: RedemptionKind
    dust: int
    value: str | None = Field(description="The discount in major units; null if it depends on the cart")
    expires_at: datetime


class Quote(BaseModel):
    currency_code: str
    earn: int = Field(description="Points that the order would earn now, by the same computation as its settlement")
    breakdown: list[RulePartResponse] = Field(description="These points by the rules that give them")
    min_dust: int = Field(description="Minimum points per discount")
    max_dust: int = Field(description="Points that `max` would redeem as a discount; 0 if no discount is possible")
    max_value: str = Field(description="Discount for `max_dust` points, in major units")
    reason: str | None = Field(description="Why `max_dust` is 0, as a sentence; null if it is not")
    reason_code: str | None = Field(
        examples=["cart_too_small"], description="The error `code` that redeeming `max` would return"
    )
    available: int = Field(description="Points that the customer can spend")
    dust_only_due: int = Field(description="Points still due for points-only lines, after what is already paid")
    dust_only: int = Field(description="Same as dust_only_due")
    dust_only_items: list[PricedItem] = Field(description="Points-only units that are not paid yet")
    optional: list[PricedItem] = Field(
        description="Units that points or money can pay for and that points do not pay yet"
    )
    redemptions: list[QuotedRedemption] = Field(description="The customer's open redemptions for this cart")
    rewards: list[QuotedReward] = Field(description="The catalogue, with what can be redeemed for this cart")
    now: datetime = Field(description=SERVER_TIME)


@router.post("/quote", responses=describe_problems(400, 401, 404, 409, 422, 429, 503))
async def quote(customer_id: Customer, body: QuoteRequest) -> Quote:
    """Quote the points that a cart or an amount would earn, and exactly what a redemption would accept now."""
    return await FOR_CUSTOMERS.run(_quote, customer_id, body)


def _quote(customer_id: CustomerId, body: QuoteRequest) -> Quote:
    cart = carts.own_cart(get_medusa(), body.cart_id, customer_id) if body.cart_id else None
    currency = cart.currency_code if cart else str(body.currency_code)
    moment = now()
    with transaction() as connection:
        rules = current_version(connection).programme.redeem
        settings = read_products(connection, carts.product_ids(cart))
        available = read_spendable(connection, customer_id, now=moment)
        order = _future_order(customer_id, cart, body, currency, moment)
        expected = forecast(connection, order, now=moment)
        if cart:
            store_forecast(connection, order, expected, now=moment)
        dust_only = carts.dust_only_prices(settings)
        basket = carts.basket_for(connection, customer_id, cart, dust_only, rules) if cart else None
        paid = units_paid_for_cart(connection, customer_id, cart) if cart else {}
        open_redemptions = open_for_cart(connection, customer_id, cart) if cart else []
        too_many_open = has_max_open(connection, customer_id)
    amount = body.amount or Decimal(0)
    basket_or_amount = basket or basket_of_amount(amount, currency_code=currency, max_share=rules.max_share)
    may_redeem = 0 if too_many_open else available
    offer = discount_offer(rules, currency_code=currency, available=may_redeem, basket=basket_or_amount)
    refusal = TooManyOpenRedemptions() if too_many_open else offer.refusal
    prices, free = carts.prices_of(settings), rules.free_products
    asked = {*prices, *(free & set(carts.product_ids(cart)) if cart else free)}
    mixed_price_products = products_with_differing_prices(asked, get_medusa()) if asked else set()
    due = _priced_items(cart, carts.without(dust_only, mixed_price_products), paid)
    cost = sum(item.dust for item in due)
    optional = [] if too_many_open else _optional_items(cart, basket, prices, paid, mixed_price_products)
    rewards = offer_rewards(
        rules,
        cart=cart,
        basket=basket,
        available=available,
        mixed_price_products=mixed_price_products,
        too_many_open=too_many_open,
    )
    return Quote(
        currency_code=currency,
        earn=expected.dust,
        breakdown=expected.breakdown,
        min_dust=offer.min_dust,
        max_dust=offer.max_dust,
        max_value=format_amount(offer.max_value, currency),
        reason=refusal.message if refusal else None,
        reason_code=refusal.code if refusal else None,
        available=available,
        dust_only_due=cost,
        dust_only=cost,
        dust_only_items=due,
        optional=optional,
        redemptions=[_quoted_redemption(redemption) for redemption in open_redemptions],
        rewards=quoted_rewards(rules, rewards, currency_code=currency),
        now=moment,
    )


def _future_order(
    customer_id: CustomerId, cart: Cart | None, body: QuoteRequest, currency: str, moment: datetime
) -> Order:
    if cart is not None:
        return order_of_cart(cart, now=moment)
    line = line_of_product(None, line_id="amount", amount=body.amount or Decimal(0))
    return future_order(OrderId("quote"), customer_id=customer_id, currency_code=currency, lines=(line,), now=moment)


def _optional_items(
    cart: Cart | None,
    basket: Basket | None,
    prices: dict[ProductId, int],
    paid: Mapping[ProductId, int],
    mixed_price_products: Collection[ProductId],
) -> list[PricedItem]:
    if cart is None or basket is None:
        return []
    units = unpaid_units(cart, carts.without(prices, {*basket.dust_only, *mixed_price_products}), paid)
    return _at_prices(units_without_credit(cart, units, basket), prices)


def _priced_items(cart: Cart | None, prices: dict[ProductId, int], paid: Mapping[ProductId, int]) -> list[PricedItem]:
    return _at_prices(unpaid_units(cart, prices, paid), prices) if cart else []


def _at_prices(units: Mapping[ProductId, int], prices: Mapping[ProductId, int]) -> list[PricedItem]:
    return [
        PricedItem(product_id=product, quantity=quantity, dust=prices[product] * quantity)
        for product, quantity in units.items()
    ]


def _quoted_redemption(redemption: Redemption) -> QuotedRedemption:
    return QuotedRedemption(
        id=redemption.id,
        code=redemption.codes[0].code if len(redemption.codes) == 1 else None,
        kind=redemption.kind,
        dust=redemption.dust,
        value=amount_of(redemption, redemption.value),
        expires_at=redemption.expires_at,
    )


class GuestQuoteRequest(Body):
    cart_id: Id


class GuestQuote(BaseModel):
    currency_code: str
    escrow: int = Field(description="Points that the order would put into escrow now")
    breakdown: list[RulePartResponse] = Field(description="These points by the rules that give them")
    account_items: list[PricedItem] = Field(
        description="Units that only a customer with an account can buy, with points"
    )
    escrow_days: int = Field(description="Days within which the guest can claim them")


@router.post("/quote/guest", responses=describe_problems(400, 404, 409, 422, 429, 503))
async def quote_guest(body: GuestQuoteRequest) -> GuestQuote:
    """Quote the points that a guest's cart would put into escrow. Public, as carts are in Medusa: the id is enough."""
    return await FOR_GUESTS.run(_quote_guest, body)


def _quote_guest(body: GuestQuoteRequest) -> GuestQuote:
    cart = carts.open_cart(get_medusa(), body.cart_id, lambda cart: not cart.has_account)
    with transaction() as connection:
        programme = current_version(connection).programme
        dust_only = carts.dust_only_prices(read_products(connection, carts.product_ids(cart)))
        order = order_of_cart(cart, now=now())
        expected = forecast(connection, order, now=now())
        store_forecast(connection, order, expected, now=now())
    return GuestQuote(
        currency_code=cart.currency_code,
        escrow=expected.dust,
        breakdown=expected.breakdown,
        account_items=_priced_items(cart, dust_only, {}),
        escrow_days=programme.guests.escrow_days,
    )
