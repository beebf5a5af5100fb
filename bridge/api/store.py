"""What the storefront sees. CONTRACT, "Store API"."""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, Field, field_validator, model_validator
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from bridge.api.rewards import QuotedReward, quote_rewards
from bridge.api.schemas import (
    BalanceResponse,
    Body,
    Cursor,
    Id,
    Limit,
    Listing,
    PathId,
    RedemptionEnvelope,
    RedemptionList,
    RedemptionResponse,
    TransactionList,
    balance_view,
    decode_cursor,
    decode_number_cursor,
    encode_cursor,
    idempotency_key,
    money,
    own_redemption_view,
    own_transaction_view,
    redemption_view,
    transaction_list,
)
from bridge.clock import now
from bridge.db import transaction
from bridge.errors import Conflict, NotFound, Unavailable
from bridge.http.auth import Customer, customer_of
from bridge.http.etag import cached
from bridge.http.medusa_threads import FOR_CUSTOMERS, FOR_GUESTS, MedusaBusy
from bridge.http.micro_batching import Together
from bridge.http.problems import describe_problems
from bridge.http.queries import refuse_unknown_query, require_known_query
from bridge.ids import CustomerId, ProductId
from bridge.inbox.reconcile import keep_orders
from bridge.ledger.account import MAX_DUST
from bridge.ledger.statements import Balance, read_balances, read_points, read_transactions
from bridge.ledger.store import read_spendable
from bridge.medusa.amounts import Number
from bridge.medusa.carts import Cart
from bridge.medusa.client import UnknownInMedusa, get_medusa
from bridge.products.settings import ProductSettings, list_products, read_products
from bridge.products.variants import VariantPricesDiffer, with_differing_prices
from bridge.programme.earning import (
    EarningLine,
    LineTerms,
    earning,
    line_terms,
)
from bridge.programme.rules import CurrencyCode, LineAttributes, Programme, Redeem
from bridge.programme.versions import current_version
from bridge.queue.enqueue import INBOX_DRAIN, REDEMPTIONS_ADVANCE, wake
from bridge.redemptions.advance import advance
from bridge.redemptions.basket import Basket, basket_of
from bridge.redemptions.rewards import UnknownReward, reward_terms
from bridge.redemptions.service import (
    AlreadyUsed,
    Redemption,
    ask_for_release,
    discounts_for_cart,
    find_answer,
    has_max_open,
    list_redemptions,
    open_for_cart,
    pending_among,
    promise,
    read_redemption,
    units_paid_for_cart,
)
from bridge.redemptions.service import (
    Request as RequestedRedemption,
)
from bridge.redemptions.tables import RedemptionKind, State
from bridge.redemptions.terms import (
    MAX_UNITS,
    NothingToPay,
    Terms,
    discount_offer,
    discount_terms,
    product_terms,
    require_whole_units,
    units_in_cart,
    unpaid_units,
)
from bridge.settlement.tiers import CustomerTier, read_tier, read_tiers

router = APIRouter(prefix="/store/dust", tags=["store"], dependencies=[Depends(refuse_unknown_query)])

LONGEST_WAIT_SECONDS = 30
_LOOK_EVERY_SECONDS = 0.25
_MAX_PRODUCTS = 100


class UnknownCart(NotFound):
    """There is no such cart, or it is another customer's."""

    code = "unknown_cart"

    def __init__(self) -> None:
        super().__init__("This cart was not found among yours.")


class CartCompleted(Conflict):
    """The cart has become an order."""

    code = "cart_completed"

    def __init__(self) -> None:
        super().__init__("This cart has been ordered already.")


class Points(BaseModel):
    points: int


@router.get("", responses=describe_problems(401, 422, 503))
def read_own_points(customer_id: Customer) -> Points:
    """The balance as one number."""
    with transaction() as connection:
        return Points(points=read_points(connection, customer_id))


def _read_balances(connection: Connection, customer_ids: list[CustomerId]) -> list[tuple[Balance, CustomerTier | None]]:
    tiers = read_tiers(connection, customer_ids, now=now())
    balances = read_balances(connection, customer_ids)
    return [(balance, tiers.get(balance.customer_id)) for balance in balances]


# What every page of a storefront shows: those who look at the same moment are answered together, by reading only.
_balances: Together[CustomerId, tuple[Balance, CustomerTier | None]] = Together("balances", _read_balances)


@router.get("/balance", response_model=BalanceResponse, responses=describe_problems(401, 422, 503))
async def read_own_balance(customer_id: Customer) -> Response:
    """All figures of one's own account; zeros for a customer never seen."""
    balance, tier = await _balances(customer_id)
    # A view already: FastAPI would read it into one a second time.
    return Response(balance_view(balance, tier).model_dump_json(), media_type="application/json")


async def answer_own_balance(request: Request) -> Response:
    """The same from the bare request, see `http/fast_path.py`."""
    require_known_query(request)
    return await read_own_balance(await customer_of(request))


@router.get("/transactions", responses=describe_problems(401, 422, 503))
def read_own_transactions(customer_id: Customer, limit: Limit = 20, cursor: Cursor = None) -> TransactionList:
    """One's own history, newest first."""
    before = decode_number_cursor(Listing.TRANSACTIONS, cursor)
    with transaction() as connection:
        rows = read_transactions(connection, customer_id, limit=limit + 1, before_version=before, memos=False)
    return transaction_list(rows, limit, view=own_transaction_view)


class ProductResponse(BaseModel):
    dust_only: bool
    dust_price: int | None


class ProductMap(BaseModel):
    products: dict[str, ProductResponse]
    next_cursor: str | None = None


@router.get(
    "/products",
    response_model=ProductMap,
    responses={304: {"description": "Unchanged since the ETag"}, **describe_problems(422, 429, 503)},
)
def read_dust_products(
    product_id: Annotated[list[Id] | None, Query(max_length=_MAX_PRODUCTS)] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Dust settings by product id; products without any are left out. Public and cacheable."""
    after, following = decode_cursor(Listing.PRODUCTS, cursor), None
    with transaction() as connection:
        if product_id:
            found = read_products(connection, [ProductId(each) for each in product_id])
        else:
            found = list_products(connection, limit=limit + 1, after=after)
            following = encode_cursor(Listing.PRODUCTS, found[limit - 1].product_id) if len(found) > limit else None
            found = found[:limit]
    answer = ProductMap(products={each.product_id: _product_view(each) for each in found}, next_cursor=following)
    return cached(answer, if_none_match)


def _product_view(settings: ProductSettings) -> ProductResponse:
    return ProductResponse(dust_only=settings.dust_only, dust_price=settings.dust_price)


class QuoteRequest(Body):
    """A cart, or an amount in a currency."""

    cart_id: Id | None = None
    amount: Annotated[Number, Field(gt=0)] | None = None
    currency_code: CurrencyCode | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.cart_id is None) == (self.amount is None or self.currency_code is None):
            raise ValueError("give cart_id, or amount and currency_code")
        return self


class PricedItem(BaseModel):
    """Units of a product that points can still pay for, and what they cost together."""

    product_id: str
    quantity: int
    dust: int


class QuotedRedemption(BaseModel):
    """An open redemption of this cart."""

    id: str
    code: str | None = Field(description="The only code, if there is one")
    kind: RedemptionKind
    dust: int
    value: str | None = Field(description="The discount in major units; null when only the cart can tell it")
    expires_at: datetime


class Quote(BaseModel):
    currency_code: str
    earn: int = Field(description="Dust that the order would earn as it is")
    min_dust: int = Field(description="The smallest discount that can be redeemed, in dust")
    max_dust: int = Field(description="What `max` would redeem as a discount; 0 when no discount can be redeemed")
    max_value: str = Field(description="What that dust takes off, in major units")
    available: int = Field(description="What the customer may spend")
    dust_only_due: int = Field(description="What its dust-only lines still cost in dust, less what is paid already")
    dust_only: int = Field(description="The same as dust_only_due")
    dust_only_items: list[PricedItem] = Field(description="The dust-only units that are not paid yet")
    optional: list[PricedItem] = Field(description="Units that dust or money may pay for, and that dust does not yet")
    redemptions: list[QuotedRedemption] = Field(description="The customer's open redemptions of this cart")
    rewards: list[QuotedReward] = Field(description="The catalogue, with what can be had for this cart")


@router.post("/quote", responses=describe_problems(400, 401, 404, 409, 422, 429, 503))
async def quote(customer_id: Customer, wish: QuoteRequest) -> Quote:
    """What a cart, or an amount, would earn and could take: what a redemption accepts, to the last point."""
    return await FOR_CUSTOMERS.run(_quote, customer_id, wish)


def _quote(customer_id: CustomerId, wish: QuoteRequest) -> Quote:
    cart = _own_cart(customer_id, wish.cart_id) if wish.cart_id else None
    currency = cart.currency_code if cart else str(wish.currency_code)
    moment = now()
    with transaction() as connection:
        programme = current_version(connection).programme
        settings = read_products(connection, _product_ids(cart))
        available = read_spendable(connection, customer_id, now=moment)
        tier = read_tier(connection, customer_id, now=moment)
        dust_only = _dust_only_prices(settings)
        basket = _basket(connection, customer_id, cart, dust_only, programme) if cart else None
        paid = units_paid_for_cart(connection, customer_id, cart) if cart else {}
        open_redemptions = open_for_cart(connection, customer_id, cart) if cart else []
        too_many_open = has_max_open(connection, customer_id)
    rules, amount = programme.redeem, wish.amount or Decimal(0)
    room = basket or Basket(currency_code=currency, worth=amount, room=amount * rules.max_share)
    may_redeem = 0 if too_many_open else available
    offer = discount_offer(rules, currency_code=currency, available=may_redeem, basket=room)
    free = _free_products(rules)
    asked = {*_prices(settings), *(free & set(_product_ids(cart)) if cart else free)}
    mixed = with_differing_prices(asked, get_medusa()) if asked else set()
    due = _priced_items(cart, _without(dust_only, mixed), paid)
    cost = sum(item.dust for item in due)
    return Quote(
        currency_code=currency,
        earn=_would_earn(programme, cart, amount, currency, dust_only, tier.standing.factor if tier else Decimal(1)),
        min_dust=offer.min_dust,
        max_dust=offer.max_dust,
        max_value=money(offer.max_value) or "0.00",
        available=available,
        dust_only_due=cost,
        dust_only=cost,
        dust_only_items=due,
        optional=[] if too_many_open else _priced_items(cart, _without(_optional_prices(settings), mixed), paid),
        redemptions=[_quoted_redemption(each) for each in open_redemptions],
        rewards=quote_rewards(
            rules,
            cart=cart,
            basket=basket,
            available=available,
            mixed_prices=mixed,
            too_many_open=too_many_open,
        ),
    )


def _priced_items(cart: Cart | None, prices: dict[ProductId, int], paid: Mapping[ProductId, int]) -> list[PricedItem]:
    units = unpaid_units(cart, prices, paid) if cart else Counter[ProductId]()
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
        value=money(redemption.value),
        expires_at=redemption.expires_at,
    )


class GuestQuoteRequest(Body):
    cart_id: Id


class GuestQuote(BaseModel):
    currency_code: str
    set_aside: int = Field(description="Dust that the order would put aside as it is")
    escrow_days: int = Field(description="For how many days the guest may claim it")


@router.post("/quote/guest", responses=describe_problems(400, 404, 409, 422, 429, 503))
async def quote_guest(wish: GuestQuoteRequest) -> GuestQuote:
    """What a guest's cart would set aside, to be claimed later. Public, as the cart is to whoever has its id."""
    return await FOR_GUESTS.run(_quote_guest, wish)


def _quote_guest(wish: GuestQuoteRequest) -> GuestQuote:
    cart = _open_cart(wish.cart_id, lambda cart: not cart.has_account)
    with transaction() as connection:
        programme = current_version(connection).programme
        prices = _dust_only_prices(read_products(connection, _product_ids(cart)))
    return GuestQuote(
        currency_code=cart.currency_code,
        set_aside=_would_earn(programme, cart, Decimal(0), cart.currency_code, prices, Decimal(1)),
        escrow_days=programme.guests.escrow_days,
    )


def _would_earn(
    programme: Programme,
    cart: Cart | None,
    amount: Decimal,
    currency: str,
    prices: dict[ProductId, int],
    factor: Decimal,
) -> int:
    lines = [EarningLine(id="amount", terms=_terms(programme, None), net=amount, gross=amount, units=Decimal(1))]
    if cart is not None:
        # A cart tells neither categories nor groups: what follows from those shows with the order.
        lines = [
            EarningLine(
                id=line.id,
                terms=_terms(programme, line.product_id),
                net=line.net,
                gross=line.gross,
                units=line.quantity,
            )
            for line in cart.lines
            if line.product_id not in prices
        ]
    worth = earning(
        programme.earn,
        currency_code=currency,
        lines=lines,
        shipping_net=Decimal(0),
        shipping_gross=Decimal(0),
        factor=factor,
    )
    return worth.dust


def _basket(
    connection: Connection, customer_id: CustomerId, cart: Cart, dust_only: Collection[ProductId], programme: Programme
) -> Basket:
    """What of the cart dust may still take off."""
    discounts = discounts_for_cart(connection, customer_id, cart)
    return basket_of(cart, dust_only=dust_only, discounts=discounts, max_share=programme.redeem.max_share)


def _terms(programme: Programme, product_id: str | None) -> LineTerms:
    return line_terms(programme.earn, LineAttributes(product_id=product_id), moment=now())


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

    # Pydantic names each member of a union and what is wrong with it; this number is what shoppers type.
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
        """The same for the same wish, however its JSON was written."""
        wish = self.model_dump(mode="json")
        if self.reward_id is None:
            # As it was before there were rewards: a key of then must find its answer.
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
    """Set dust aside and have a promotion made for it. Ask for the redemption with `wait` until it is active."""
    return await FOR_CUSTOMERS.run(_redeem, customer_id, wish, key)


def _redeem(customer_id: CustomerId, wish: RedemptionRequest, key: str) -> Response:
    request = RequestedRedemption(
        customer_id=customer_id, idempotency_key=key, request_hash=wish.fingerprint(), cart_id=wish.cart_id
    )
    with transaction() as connection:
        answer = find_answer(connection, request)
    if answer is None:
        # Before dust is held for it, Medusa must at least be known.
        get_medusa()
        answer = _promise(request, wish, _own_cart(customer_id, wish.cart_id) if wish.cart_id else None)
        wake(REDEMPTIONS_ADVANCE, answer["redemption"]["id"])
    return Response(json.dumps(answer), 202, media_type="application/json")


def _mixed_prices(wish: RedemptionRequest, cart: Cart | None) -> set[ProductId]:
    """Products of this request whose variants differ in price. Asks Medusa, so not within a transaction."""
    asked = {ProductId(item.product_id) for item in wish.items or ()}
    with transaction() as connection:
        if wish.pay:
            asked |= set(_dust_only_prices(read_products(connection, _product_ids(cart))))
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
        settings = read_products(connection, [*_product_ids(cart), *wanted_ids])
        prices = _prices(settings)
        dust_only = _dust_only_prices(settings)

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
                # Read under the account's lock: a second tab that pays for the same cart finds the first one's units.
                paid = units_paid_for_cart(connection, request.customer_id, cart)
                wanted = unpaid_units(cart, _without(dust_only, mixed), paid)
                if not wanted:
                    # What a quote leaves out as well; when nothing else is due, the shopper hears why.
                    for product_id in unpaid_units(cart, mixed, paid):
                        raise VariantPricesDiffer(product_id)
                    require_whole_units(cart, dust_only)
                    raise NothingToPay
                return product_terms(prices, wanted)
            # As with the units: a second tab finds what the first one has taken of the cart.
            basket = _basket(connection, request.customer_id, cart, dust_only, version.programme) if cart else None
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

        return promise(
            connection, request, terms_for=terms_for, answer_for=_first_answer, version=version, now=now()
        )  # fmt: skip


def _first_answer(redemption: Redemption) -> dict[str, Any]:
    return RedemptionEnvelope(redemption=own_redemption_view(redemption)).model_dump(mode="json")


def _own_cart(customer_id: CustomerId, cart_id: str) -> Cart:
    return _open_cart(cart_id, lambda cart: cart.customer_id == customer_id)


def _open_cart(cart_id: str, may_see: Callable[[Cart], bool]) -> Cart:
    """A cart that is no order yet. Raises `UnknownCart`, also for one that may not be seen, and `CartCompleted`."""
    try:
        cart = get_medusa().cart(cart_id)
    except UnknownInMedusa:
        raise UnknownCart from None
    if not may_see(cart):
        raise UnknownCart
    if cart.completed:
        raise CartCompleted
    return cart


def _product_ids(cart: Cart | None) -> list[ProductId]:
    return [line.product_id for line in cart.lines if line.product_id] if cart else []


def _dust_only_prices(settings: list[ProductSettings]) -> dict[ProductId, int]:
    return {each.product_id: each.dust_price for each in settings if each.dust_only and each.dust_price}


def _prices(settings: list[ProductSettings]) -> dict[ProductId, int]:
    return {each.product_id: each.dust_price for each in settings if each.dust_price}


def _without(prices: dict[ProductId, int], left_out: Collection[ProductId]) -> dict[ProductId, int]:
    return {product_id: price for product_id, price in prices.items() if product_id not in left_out}


def _free_products(rules: Redeem) -> set[ProductId]:
    """The products of the catalogue's rewards."""
    return {ProductId(reward.product_id) for reward in rules.rewards if reward.product_id}


def _optional_prices(settings: list[ProductSettings]) -> dict[ProductId, int]:
    return {each.product_id: each.dust_price for each in settings if each.dust_price and not each.dust_only}


@router.get("/redemptions", responses=describe_problems(401, 422, 503))
def read_own_redemptions(
    customer_id: Customer,
    limit: Limit = 20,
    cursor: Cursor = None,
    cart_id: Annotated[Id | None, Query(description="Only those that were made for this cart")] = None,
    state: Annotated[State | None, Query(description="Only those in this state")] = None,
) -> RedemptionList:
    """The customer's own redemptions, newest first."""
    with transaction() as connection:
        found = list_redemptions(
            connection,
            customer_id=customer_id,
            cart_id=cart_id,
            state=state,
            before=decode_cursor(Listing.REDEMPTIONS, cursor),
            limit=limit + 1,
        )
    return redemption_list(found, limit, view=own_redemption_view)


def redemption_list(
    found: list[Redemption], limit: int, *, view: Callable[[Redemption], RedemptionResponse] = redemption_view
) -> RedemptionList:
    """A page of redemptions that was asked for with one more than `limit`."""
    return RedemptionList(
        redemptions=[view(each) for each in found[:limit]],
        next_cursor=encode_cursor(Listing.REDEMPTIONS, found[limit - 1].id if len(found) > limit else None),
    )


@router.get("/redemptions/{redemption_id}", responses=describe_problems(401, 404, 422, 503))
async def read_own_redemption(
    request: Request,
    customer_id: Customer,
    redemption_id: PathId,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT_SECONDS, description="Seconds to wait while pending")] = 0,
) -> RedemptionEnvelope:
    """One of one's own; with `wait`, answered as soon as it is no longer pending, or then."""
    clock = asyncio.get_running_loop().time
    end = clock() + wait
    redemption = await run_in_threadpool(_read_redemption, customer_id, redemption_id)
    if redemption.state is not State.PENDING or not wait:
        return RedemptionEnvelope(redemption=own_redemption_view(redemption))
    is_pending = True
    while is_pending and clock() < end and not await request.is_disconnected():
        # All waiting requests look at the same moment, so one statement answers them.
        await asyncio.sleep(_LOOK_EVERY_SECONDS - clock() % _LOOK_EVERY_SECONDS)
        is_pending = await _pending(redemption_id)
    redemption = await run_in_threadpool(_read_redemption, customer_id, redemption_id)
    return RedemptionEnvelope(redemption=own_redemption_view(redemption))


def _read_pending(connection: Connection, redemption_ids: list[str]) -> list[bool]:
    pending = pending_among(connection, redemption_ids)
    return [redemption_id in pending for redemption_id in redemption_ids]


_pending: Together[str, bool] = Together("pending-redemptions", _read_pending)


def _read_redemption(customer_id: CustomerId, redemption_id: str) -> Redemption:
    with transaction() as connection:
        return read_redemption(connection, customer_id, redemption_id)


@router.delete("/redemptions/{redemption_id}", responses=describe_problems(401, 404, 409, 422, 429, 503))
async def release(customer_id: Customer, redemption_id: PathId) -> RedemptionEnvelope:
    """Give the dust back: the promotion is removed from Medusa first, and only then is the dust free again.

    503 means that Medusa could not be asked yet; the release is noted and happens by itself as soon as it can be.
    """
    redemption = await run_in_threadpool(_ask_for_release, customer_id, redemption_id)
    if redemption.open:
        try:
            redemption = await FOR_CUSTOMERS.run(_withdraw, redemption_id)
        except Unavailable:
            await run_in_threadpool(wake, REDEMPTIONS_ADVANCE, redemption_id)
            raise
    if redemption.state is State.CAPTURED:
        raise AlreadyUsed(redemption_id, redemption.order_id)
    return RedemptionEnvelope(redemption=own_redemption_view(redemption))


def _ask_for_release(customer_id: CustomerId, redemption_id: str) -> Redemption:
    with transaction() as connection:
        return ask_for_release(connection, customer_id, redemption_id, now=now())


def _withdraw(redemption_id: str) -> Redemption:
    outcome = advance(redemption_id, get_medusa())
    if outcome.orders:
        keep_orders(outcome.orders)
        wake(INBOX_DRAIN)
        raise AlreadyUsed(redemption_id, str(outcome.orders[0]["id"]))
    if outcome.unfinished:
        raise MedusaBusy
    return outcome.redemption
