"""Redeem points, and request the release of redemptions.

Carts and prices are read from Medusa. `medusa_sync.py` creates and deletes the promotions, later.
"""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from bridge.clock import now
from bridge.db import transaction
from bridge.errors import Conflict, KeyReused
from bridge.ids import CustomerId, ProductId, new_id
from bridge.ledger.store import open_accounts, save
from bridge.medusa.carts import Cart
from bridge.medusa.client import Medusa
from bridge.products.settings import ProductSettings, read_products
from bridge.products.variants import VariantPricesDiffer, products_with_differing_prices
from bridge.programme.spending import Redeem
from bridge.programme.versions import Version, current_version
from bridge.redemptions import lifecycle
from bridge.redemptions.carts import basket_for, dust_only_prices, own_cart, prices_of, product_ids, without
from bridge.redemptions.pricing.basket import Basket
from bridge.redemptions.pricing.rewards import UnknownReward, reward_terms
from bridge.redemptions.pricing.terms import (
    NothingToPay,
    Terms,
    discount_terms,
    product_terms,
    require_units_in_cart,
    require_whole_units,
    unpaid_units,
)
from bridge.redemptions.repository import (
    Code,
    Redemption,
    UnknownRedemption,
    lock_open_redemptions,
    lock_redemption,
    read_redemption,
    units_paid_for_cart,
)
from bridge.redemptions.tables import OPEN_STATES, RedemptionState, dust_redemption

# More would let one customer occupy Medusa and the workers.
MAX_OPEN_REDEMPTIONS = 20
# Crockford's base32 without look-alikes; 16 characters are 80 bits, which cannot be guessed over the Store API.
_CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_CHARACTERS = 16


class AlreadyUsed(Conflict):
    """An order has used the code, so its points cannot be released."""

    code = "already_used"
    message = "An order has used these points already."


class TooManyOpenRedemptions(Conflict):
    """The customer has `MAX_OPEN_REDEMPTIONS` open redemptions."""

    code = "too_many_open_redemptions"

    def __init__(self) -> None:
        super().__init__(
            f"You have {MAX_OPEN_REDEMPTIONS} discounts from points that are not used yet. "
            "Please use or cancel one of them first.",
            max_open=MAX_OPEN_REDEMPTIONS,
        )


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a shopper wants to redeem, with the idempotency key.

    One of: `items`, `pay_dust_only`, `reward_id`, or a discount for `dust` points. Without any, the discount is for as
    many points as possible. Each may have a cart; `pay_dust_only` needs one.
    """

    customer_id: CustomerId
    idempotency_key: str
    request_hash: str
    cart_id: str | None = None
    dust: int | None = None
    currency_code: str | None = None
    pay_dust_only: bool = False
    """Pay all lines of the cart that only points can pay."""
    items: Mapping[ProductId, int] = field(default_factory=dict)
    """Units to pay, by product."""
    reward_id: str | None = None


def redeem(request: Request, medusa: Medusa) -> Redemption:
    """Redeem points: price the request, hold the points and store the redemption.

    The same request always gets the redemption as it was created. It opens its transactions, because the cart and the
    prices of variants are read from Medusa in between.

    Raises `KeyReused`, `UnknownCart`, `CartCompleted`, `InsufficientDust`, `TooManyOpenRedemptions`, and the errors of
    `pricing/`.
    """
    with transaction() as connection:
        if earlier := _find_earlier(connection, request):
            return earlier
    cart = own_cart(medusa, request.cart_id, request.customer_id) if request.cart_id else None
    mixed_price_products = _mixed_price_products(request, cart, medusa)
    moment = now()
    with transaction() as connection:
        version = current_version(connection)
        settings = read_products(connection, [*product_ids(cart), *request.items])
        account = open_accounts(connection, [request.customer_id])[request.customer_id]
        # Checked again under the lock: of two concurrent requests the second finds what the first has written.
        if earlier := _find_earlier(connection, request):
            return earlier
        if has_max_open(connection, request.customer_id):
            raise TooManyOpenRedemptions
        account.book_due(now=moment)
        rules, dust_only = version.programme.redeem, dust_only_prices(settings)
        basket = basket_for(connection, request.customer_id, cart, dust_only, rules) if cart else None
        if request.items or request.pay_dust_only:
            terms = _unit_terms(connection, request, cart, basket, settings, mixed_price_products)
        else:
            available = max(0, account.available)
            terms = _discount_terms(request, cart, basket, rules, available, mixed_price_products)
        redemption = _new_redemption(request, terms, version, moment)
        lifecycle.create(
            connection,
            account,
            redemption,
            idempotency_key=request.idempotency_key,
            request_hash=request.request_hash,
            now=moment,
        )
        save(connection, [account])
    return redemption


def _find_earlier(connection: Connection, request: Request) -> Redemption | None:
    """Return the redemption of an earlier request with this key, as it was created. Raises `KeyReused`."""
    row = connection.execute(
        select(dust_redemption.c.id, dust_redemption.c.request_hash).where(
            dust_redemption.c.customer_id == request.customer_id,
            dust_redemption.c.idempotency_key == request.idempotency_key,
        )
    ).one_or_none()
    if row is None:
        return None
    if row.request_hash != request.request_hash:
        raise KeyReused
    return lifecycle.as_created(read_redemption(connection, request.customer_id, row.id))


def _mixed_price_products(request: Request, cart: Cart | None, medusa: Medusa) -> set[ProductId]:
    """Return the products of this request whose variants differ in price."""
    asked = set(request.items)
    with transaction() as connection:
        if request.pay_dust_only:
            asked |= set(dust_only_prices(read_products(connection, product_ids(cart))))
        if request.reward_id:
            reward = current_version(connection).programme.redeem.reward(request.reward_id)
            asked |= {ProductId(reward.product_id)} if reward and reward.product_id else set()
    return products_with_differing_prices(asked, medusa) if asked else set()


def _unit_terms(
    connection: Connection,
    request: Request,
    cart: Cart | None,
    basket: Basket | None,
    settings: list[ProductSettings],
    mixed_price_products: Collection[ProductId],
) -> Terms:
    """Price units of products: the requested `items`, or all unpaid points-only units of the cart.

    The account is locked, so that a second tab sees what the first has redeemed for the cart.
    """
    prices, dust_only = prices_of(settings), dust_only_prices(settings)
    paid = units_paid_for_cart(connection, request.customer_id, cart) if cart else {}
    if request.items:
        if refused := set(mixed_price_products) & set(prices):
            raise VariantPricesDiffer(product_id=min(refused))
        if cart and basket:
            require_units_in_cart(cart, prices, request.items, paid, basket)
        return product_terms(prices, request.items)
    assert cart is not None
    unpaid = unpaid_units(cart, without(dust_only, mixed_price_products), paid)
    if not unpaid:
        # A quote leaves these products out too. If nothing else is due, the shopper learns the reason from this error.
        if refused := set(unpaid_units(cart, mixed_price_products, paid)):
            raise VariantPricesDiffer(product_id=min(refused))
        require_whole_units(cart, dust_only)
        raise NothingToPay
    return product_terms(prices, unpaid)


def _discount_terms(
    request: Request,
    cart: Cart | None,
    basket: Basket | None,
    rules: Redeem,
    available: int,
    mixed_price_products: Collection[ProductId],
) -> Terms:
    """Price a reward or a fixed discount."""
    if request.reward_id:
        reward = rules.reward(request.reward_id)
        if reward is None:
            raise UnknownReward
        return reward_terms(rules, reward, cart=cart, basket=basket, mixed_price_products=mixed_price_products)
    return discount_terms(
        rules,
        dust=request.dust,
        currency_code=cart.currency_code if cart else str(request.currency_code),
        available=available,
        basket=basket,
    )


def has_max_open(connection: Connection, customer_id: CustomerId) -> bool:
    columns = dust_redemption.c
    query = select(columns.id).where(columns.customer_id == customer_id, columns.state.in_(OPEN_STATES))
    return len(connection.execute(query.limit(MAX_OPEN_REDEMPTIONS)).all()) == MAX_OPEN_REDEMPTIONS


def _new_redemption(request: Request, terms: Terms, version: Version, now: datetime) -> Redemption:
    # The codes of a redemption are read in this order.
    names = sorted(_new_code() for _ in terms.codes)
    codes = tuple(Code(code=name, **vars(part)) for name, part in zip(names, terms.codes, strict=True))
    return Redemption(
        **{**vars(terms), "codes": codes},
        id=new_id("dred"),
        customer_id=request.customer_id,
        state=RedemptionState.PENDING,
        cart_id=request.cart_id,
        expires_at=now + timedelta(minutes=version.programme.redeem.code_ttl_minutes),
        programme_version=version.number,
        next_step_at=now,
        created_at=now,
    )


def _new_code() -> str:
    return "DUST-" + "".join(secrets.choice(_CODE_ALPHABET) for _ in range(_CODE_CHARACTERS))


def request_release(
    connection: Connection, customer_id: CustomerId, redemption_id: str, *, now: datetime
) -> Redemption:
    """Request the release of a redemption. Raises `UnknownRedemption`, `AlreadyUsed`."""
    redemption = lock_redemption(connection, redemption_id)
    if redemption.customer_id != customer_id:
        raise UnknownRedemption(redemption_id=redemption_id)
    if redemption.state is RedemptionState.CAPTURED:
        raise AlreadyUsed(redemption_id=redemption_id, order_id=redemption.order_id)
    return _request_release(connection, redemption, now)


def request_release_of_all(connection: Connection, customer_id: CustomerId, *, now: datetime) -> None:
    """Like `request_release`, for all open redemptions of the customer."""
    for redemption in lock_open_redemptions(connection, customer_id):
        _request_release(connection, redemption, now)


def _request_release(connection: Connection, redemption: Redemption, now: datetime) -> Redemption:
    if not redemption.open or redemption.release_requested_at:
        return redemption
    return lifecycle.request_release(connection, redemption, now=now)
