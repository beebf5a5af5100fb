"""Store API: balance, history, product prices, quotes and redemptions. CONTRACT, "Store API"."""

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
from bridge.redemptions.medusa_sync import advance
from bridge.redemptions.pricing.basket import Basket, basket_of
from bridge.redemptions.pricing.rewards import UnknownReward, reward_terms
from bridge.redemptions.pricing.terms import (
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
from bridge.redemptions.service import (
    AlreadyUsed,
    Redemption,
    create_redemption,
    discounts_for_cart,
    find_first_response,
    has_max_open,
    list_redemptions,
    open_for_cart,
    pending_among,
    read_redemption,
    request_release,
    units_paid_for_cart,
)
from bridge.redemptions.service import (
    Request as RequestedRedemption,
)
from bridge.redemptions.tables import RedemptionKind, State
from bridge.settlement.tiers import CustomerTier, read_tier, read_tiers

router = APIRouter(prefix="/store/dust", tags=["store"], dependencies=[Depends(refuse_unknown_query)])

LONGEST_WAIT_SECONDS = 30
_LOOK_EVERY_SECONDS = 0.25
_MAX_PRODUCTS = 100


class UnknownCart(NotFound):
    """The cart does not exist or belongs to another customer."""

    code = "unknown_cart"

    def __init__(self) -> None:
        super().__init__("This cart was not found among yours.")


class CartCompleted(Conflict):
    """The cart was completed: it is an order already."""

    code = "cart_completed"

    def __init__(self) -> None:
        super().__init__("This cart has been ordered already.")


class Points(BaseModel):
    points: int


@router.get("", responses=describe_problems(401, 422, 503))
def read_own_points(customer_id: Customer) -> Points:
    """Return the customer's balance as one number."""
    with transaction() as connection:
        return Points(points=read_points(connection, customer_id))


def _read_balances(connection: Connection, customer_ids: list[CustomerId]) -> list[tuple[Balance, CustomerTier | None]]:
    tiers = read_tiers(connection, customer_ids, now=now())
    balances = read_balances(connection, customer_ids)
    return [(balance, tiers.get(balance.customer_id)) for balance in balances]


# Every page of a storefront shows the balance. Requests that arrive together share one read-only query.
_balances: Together[CustomerId, tuple[Balance, CustomerTier | None]] = Together("balances", _read_balances)


@router.get("/balance", response_model=BalanceResponse, responses=describe_problems(401, 422, 503))
async def read_own_balance(customer_id: Customer) -> Response:
    """Return the customer's balance, held, pending and expiring points, and tier. Unknown customers get zeros."""
    balance, tier = await _balances(customer_id)
    # Serialized here: with a response model FastAPI would validate it a second time.
    return Response(balance_view(balance, tier).model_dump_json(), media_type="application/json")


async def answer_own_balance(request: Request) -> Response:
    """As `read_own_balance`, for the fast path (`http/fast_path.py`), which bypasses FastAPI's routing."""
    require_known_query(request)
    return await read_own_balance(await customer_of(request))


@router.get("/transactions", responses=describe_problems(401, 422, 503))
def read_own_transactions(customer_id: Customer, limit: Limit = 20, cursor: Cursor = None) -> TransactionList:
    """List the customer's transactions, newest first."""
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
    """Return points settings by product id. Products without settings are left out. Public and cacheable."""
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
    """What to quote: a cart, or an amount in a currency."""

    cart_id: Id | None = None
    amount: Annotated[Number, Field(gt=0)] | None = None
    currency_code: CurrencyCode | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.cart_id is None) == (self.amount is None or self.currency_code is None):
            raise ValueError("give cart_id, or amount and currency_code")
        return self


class PricedItem(BaseModel):
    """Units of a product that points can still pay for, and their total price in points (`dust`)."""

    product_id: str
    quantity: int
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
    earn: int = Field(description="Points that the order would earn now")
    min_dust: int = Field(description="Minimum points per discount")
    max_dust: int = Field(description="Points that `max` would redeem as a discount; 0 if no discount is possible")
    max_value: str = Field(description="Discount for `max_dust` points, in major units")
    available: int = Field(description="Points that the customer can spend")
    dust_only_due: int = Field(description="Points still due for dust-only lines, after what is already paid")
    dust_only: int = Field(description="Same as dust_only_due")
    dust_only_items: list[PricedItem] = Field(description="Dust-only units that are not paid yet")
    optional: list[PricedItem] = Field(
        description="Units that points or money can pay for and that points do not pay yet"
    )
    redemptions: list[QuotedRedemption] = Field(description="The customer's open redemptions for this cart")
    rewards: list[QuotedReward] = Field(description="The catalogue, with what can be redeemed for this cart")


@router.post("/quote", responses=describe_problems(400, 401, 404, 409, 422, 429, 503))
async def quote(customer_id: Customer, wish: QuoteRequest) -> Quote:
    """Quote the points that a cart or an amount would earn, and exactly what a redemption would accept now."""
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
    set_aside: int = Field(description="Points that the order would put into escrow now")
    escrow_days: int = Field(description="Days within which the guest can claim them")


@router.post("/quote/guest", responses=describe_problems(400, 404, 409, 422, 429, 503))
async def quote_guest(wish: GuestQuoteRequest) -> GuestQuote:
    """Quote the points that a guest's cart would put into escrow. Public, as carts are in Medusa: the id is enough."""
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
        # A cart has neither categories nor customer groups. Rules about them take effect only with the order.
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
    """The part of the cart that points can still discount."""
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
        answer = _promise(request, wish, _own_cart(customer_id, wish.cart_id) if wish.cart_id else None)
        wake(REDEMPTIONS_ADVANCE, answer["redemption"]["id"])
    return Response(json.dumps(answer), 202, media_type="application/json")


def _mixed_prices(wish: RedemptionRequest, cart: Cart | None) -> set[ProductId]:
    """Products of this request whose variants differ in price. It calls Medusa, so keep it outside a transaction."""
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
                # Read under the account's lock, so that a second tab paying for this cart sees the units of the first.
                paid = units_paid_for_cart(connection, request.customer_id, cart)
                wanted = unpaid_units(cart, _without(dust_only, mixed), paid)
                if not wanted:
                    # A quote leaves these products out too. If nothing else is due, this error tells the shopper why.
                    for product_id in unpaid_units(cart, mixed, paid):
                        raise VariantPricesDiffer(product_id)
                    require_whole_units(cart, dust_only)
                    raise NothingToPay
                return product_terms(prices, wanted)
            # Also read under the lock, so that a second tab sees the discounts of the first.
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

        return create_redemption(
            connection, request, terms_for=terms_for, response_for=_first_answer, version=version, now=now()
        )  # fmt: skip


def _first_answer(redemption: Redemption) -> dict[str, Any]:
    return RedemptionEnvelope(redemption=own_redemption_view(redemption)).model_dump(mode="json")


def _own_cart(customer_id: CustomerId, cart_id: str) -> Cart:
    return _open_cart(cart_id, lambda cart: cart.customer_id == customer_id)


def _open_cart(cart_id: str, may_see: Callable[[Cart], bool]) -> Cart:
    """Read a cart that is not an order yet. Raises `UnknownCart` (also if `may_see` refuses it), `CartCompleted`."""
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
    cart_id: Annotated[Id | None, Query(description="Only redemptions that were made for this cart")] = None,
    state: Annotated[State | None, Query(description="Only redemptions in this state")] = None,
) -> RedemptionList:
    """List the customer's redemptions, newest first."""
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
    """One page from `found`, which was read with a limit of `limit + 1` to see whether there is a next page."""
    return RedemptionList(
        redemptions=[view(each) for each in found[:limit]],
        next_cursor=encode_cursor(Listing.REDEMPTIONS, found[limit - 1].id if len(found) > limit else None),
    )


@router.get("/redemptions/{redemption_id}", responses=describe_problems(401, 404, 422, 503))
async def read_own_redemption(
    request: Request,
    customer_id: Customer,
    redemption_id: PathId,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT_SECONDS, description="Seconds to wait while it is pending")] = 0,
) -> RedemptionEnvelope:
    """Return a redemption of the customer. With `wait`: once it is no longer pending, or when the time is up."""
    clock = asyncio.get_running_loop().time
    end = clock() + wait
    redemption = await run_in_threadpool(_read_redemption, customer_id, redemption_id)
    if redemption.state is not State.PENDING or not wait:
        return RedemptionEnvelope(redemption=own_redemption_view(redemption))
    is_pending = True
    while is_pending and clock() < end and not await request.is_disconnected():
        # All waiting requests poll at the same moment, so one statement answers them.
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
    """Release a redemption: remove its promotion from Medusa, then make its points available again.

    503 means that Medusa could not be called. The release is stored and happens automatically once Medusa answers.
    """
    redemption = await run_in_threadpool(_request_release, customer_id, redemption_id)
    if redemption.open:
        try:
            redemption = await FOR_CUSTOMERS.run(_withdraw, redemption_id)
        except Unavailable:
            await run_in_threadpool(wake, REDEMPTIONS_ADVANCE, redemption_id)
            raise
    if redemption.state is State.CAPTURED:
        raise AlreadyUsed(redemption_id, redemption.order_id)
    return RedemptionEnvelope(redemption=own_redemption_view(redemption))


def _request_release(customer_id: CustomerId, redemption_id: str) -> Redemption:
    with transaction() as connection:
        return request_release(connection, customer_id, redemption_id, now=now())


def _withdraw(redemption_id: str) -> Redemption:
    outcome = advance(redemption_id, get_medusa())
    if outcome.orders:
        keep_orders(outcome.orders)
        wake(INBOX_DRAIN)
        raise AlreadyUsed(redemption_id, str(outcome.orders[0]["id"]))
    if outcome.unfinished:
        raise MedusaBusy
    return outcome.redemption
