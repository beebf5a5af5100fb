"""What a request to spend points costs, and whether the programme allows it. No I/O."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal

from bridge.counted import counted
from bridge.errors import Conflict, DustError, InvalidInput
from bridge.ids import ProductId
from bridge.ledger.account import InsufficientDust
from bridge.ledger.postings import MAX_DUST
from bridge.medusa.amounts import plain_text
from bridge.medusa.carts import Cart
from bridge.medusa.currencies import round_down
from bridge.programme.spending import Redeem, discount_value, max_dust_within, min_redeemable, useful_dust
from bridge.redemptions.pricing.basket import Basket, price_of_units
from bridge.redemptions.tables import RedemptionKind

MAX_UNITS = 1_000
# Dust and Medusa store the units of a code in four bytes. A cart can have more, for example of goods without a stock.
_MAX_UNITS_OF_CODE = 2**31 - 1


class NoRate(InvalidInput):
    """The programme has no redemption rate for this currency."""

    code = "no_redeem_rate"

    def __init__(self, currency_code: str) -> None:
        super().__init__(f"Points cannot be used for prices in {currency_code.upper()}.", currency_code=currency_code)


class BelowMinimum(InvalidInput):
    """Fewer points than the minimum per redemption, or than buy anything."""

    code = "below_minimum"

    def __init__(self, *, min_dust: int) -> None:
        super().__init__(f"Please use at least {counted(min_dust, 'point')} at a time.", min_dust=min_dust)


class AboveMaximum(InvalidInput):
    """More points than the maximum of this cart, or of the programme."""

    code = "above_maximum"

    def __init__(self, *, max_dust: int) -> None:
        super().__init__(f"You can use at most {counted(max_dust, 'point')} here.", max_dust=max_dust)


class CartTooSmall(InvalidInput):
    """The cart takes fewer points than the minimum per redemption."""

    code = "cart_too_small"

    def __init__(self, *, min_dust: int, max_dust: int) -> None:
        super().__init__(
            f"This cart takes at most {counted(max_dust, 'point')}, and at least {min_dust:,} can be used at a time. "
            "Please put more into it.",
            min_dust=min_dust,
            max_dust=max_dust,
        )


class CartTakesNoPoints(InvalidInput):
    """Nothing is left in the cart that a discount could pay for."""

    code = "cart_takes_no_points"
    message = "No points can be used for this cart."


class NoDustPrice(InvalidInput):
    """The requested product has no price in points."""

    code = "no_dust_price"
    message = "This product cannot be bought with points."


class NothingToPay(Conflict):
    """The cart has no points-only line that is still unpaid."""

    code = "nothing_to_pay"
    message = "The cart has no product that still has to be paid with points."


class UnitsNotInCart(Conflict):
    """More units were requested than the cart has, less those that points already pay for."""

    code = "units_not_in_cart"

    def __init__(self, product_id: str, left: int) -> None:
        message = (
            f"Only {left:,} of this product in your cart can still be paid with points."
            if left
            else "Nothing of this product is left to pay in your cart: put it into the cart first."
        )
        super().__init__(message, product_id=product_id, quantity=left)


class NotWholeUnits(InvalidInput):
    """A product with a points price is in the cart by weight."""

    code = "not_whole_units"

    def __init__(self, quantity: Decimal) -> None:
        super().__init__(
            f"The cart has {plain_text(quantity)} of a product that is paid with points. Points pay for whole units "
            "only: please choose a whole number."
        )


@dataclass(frozen=True, kw_only=True)
class CodeTerms:
    """What one promotion code will be for: a discount (`value`), or units of a product."""

    dust: int
    value: Decimal | None = None
    product_id: ProductId | None = None
    quantity: int | None = None


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a redemption holds and gives. Each product has its own code; everything else has one code.

    `min_cart` is the minimum price of a cart's items, with tax, for the code to apply.
    """

    kind: RedemptionKind
    dust: int
    codes: tuple[CodeTerms, ...]
    value: Decimal | None = None
    currency_code: str | None = None
    reward_id: str | None = None
    percent: Decimal | None = None
    min_cart: Decimal | None = None


def discount_terms(
    rules: Redeem, *, dust: int | None, currency_code: str, available: int, basket: Basket | None
) -> Terms:
    """Return the terms of a fixed discount.

    `dust` None means as many points as possible; `basket` is the cart's, if there is one. Points that buy nothing are
    not taken: at 100 points per yen, 199 points give terms of 100 points and 1 yen.

    Raises `NoRate`, `InsufficientDust`, `CartTooSmall`, `CartTakesNoPoints`, `AboveMaximum`, `BelowMinimum`.
    """
    if currency_code not in rules.rates:
        raise NoRate(currency_code)
    min_dust = min_redeemable(rules, currency_code)
    max_dust = max_dust_within(rules, basket.max_value, currency_code) if basket else rules.max_dust
    if dust is None and available < min_dust:
        raise InsufficientDust(asked=min_dust, available=available)
    if max_dust is not None and max_dust < min_dust:
        raise CartTooSmall(min_dust=min_dust, max_dust=max_dust) if max_dust else CartTakesNoPoints
    if dust is None:
        dust = available if max_dust is None else min(available, max_dust)
    if max_dust is not None and dust > max_dust:
        raise AboveMaximum(max_dust=max_dust)
    if dust < min_dust:
        raise BelowMinimum(min_dust=min_dust)
    if dust > available:
        raise InsufficientDust(asked=dust, available=available)
    dust = useful_dust(rules, dust, currency_code)
    value = discount_value(rules, dust, currency_code)
    assert value
    code = CodeTerms(dust=dust, value=basket.promotion_value(value) if basket else value)
    return Terms(
        kind=RedemptionKind.FIXED,
        dust=dust,
        codes=(code,),
        value=value,
        currency_code=currency_code,
        min_cart=min_cart_for(rules, value, currency_code),
    )


@dataclass(frozen=True, kw_only=True)
class DiscountOffer:
    """What a quote offers: any number of points from `min_dust` to `max_dust`; none when `max_dust` is 0.

    `refusal` is the error that redeeming as many points as possible would raise; None if none.
    """

    min_dust: int
    max_dust: int
    max_value: Decimal
    refusal: DustError | None = None


def discount_offer(rules: Redeem, *, currency_code: str, available: int, basket: Basket | None) -> DiscountOffer:
    """Return what `discount_terms` accepts from a customer with `available` points."""
    min_dust = min_redeemable(rules, currency_code) if currency_code in rules.rates else rules.min_dust
    try:
        terms = discount_terms(rules, dust=None, currency_code=currency_code, available=available, basket=basket)
    except (NoRate, InsufficientDust, CartTooSmall, CartTakesNoPoints) as error:
        return DiscountOffer(min_dust=min_dust, max_dust=0, max_value=Decimal(0), refusal=error)
    return DiscountOffer(min_dust=min_dust, max_dust=terms.dust, max_value=terms.value or Decimal(0))


def min_cart_for(rules: Redeem, value: Decimal, currency_code: str) -> Decimal | None:
    """Return the minimum total of a cart for `value` to be within `max_share`; None if the share is 1.

    Medusa checks it whenever the cart changes, so a cart that was filled for the code cannot be emptied afterwards.
    """
    if rules.max_share >= 1:
        return None
    return round_down(value / rules.max_share, currency_code)


def product_terms(prices: Mapping[ProductId, int], wanted: Mapping[ProductId, int]) -> Terms:
    """Return the terms of buying units of products at their prices in points. Raises `NoDustPrice`, `AboveMaximum`."""
    codes = []
    for product_id, quantity in wanted.items():
        price = prices.get(product_id)
        if price is None:
            raise NoDustPrice(product_id=product_id)
        if quantity > _MAX_UNITS_OF_CODE:
            raise AboveMaximum(max_dust=min(price * _MAX_UNITS_OF_CODE, MAX_DUST))
        codes.append(CodeTerms(dust=price * quantity, product_id=product_id, quantity=quantity))
    dust = sum(code.dust for code in codes)
    if dust > MAX_DUST:
        raise AboveMaximum(max_dust=MAX_DUST)
    return Terms(kind=RedemptionKind.PRODUCTS, dust=dust, codes=tuple(codes))


def unpaid_units(cart: Cart, prices: Collection[ProductId], paid: Mapping[ProductId, int]) -> Counter[ProductId]:
    """Return the units of these products in the cart, less those that open redemptions already pay for.

    A line with a fraction of a unit is left out, and one that no promotion applies to: points cannot pay for them. Nor
    can they pay for a line that costs nothing, by its price or after other discounts.
    """
    units: Counter[ProductId] = Counter()
    with_price: Counter[ProductId] = Counter()
    for line in cart.lines:
        if line.product_id is None or line.product_id not in prices or not line.discountable:
            continue
        if is_whole(line.quantity):
            units[line.product_id] += int(line.quantity)
            with_price[line.product_id] += int(line.quantity) if line.gross > 0 else 0
    # The units that redemptions pay for may be those of lines that cost nothing now.
    return (units - Counter(paid)) & with_price


def units_without_credit(cart: Cart, units: Mapping[ProductId, int], basket: Basket) -> Counter[ProductId]:
    """Return those of these units that a gift card or store credit has not paid for.

    Of each product by itself, as if points paid for no other. Medusa would take both off, down to a total below zero.
    None of them is dust-only: only points pay for those.
    """
    due = basket.due_beside_credit
    if due is None:
        return Counter(units)
    return +Counter(
        {
            product_id: bisect_right(range(1, quantity + 1), due, key=_prices_of(cart, product_id))
            for product_id, quantity in units.items()
        }
    )


def _prices_of(cart: Cart, product_id: ProductId) -> Callable[[int], Decimal]:
    return lambda quantity: price_of_units(cart.lines, product_id, quantity, cart.currency_code)


def require_units_in_cart(
    cart: Cart,
    prices: Mapping[ProductId, int],
    wanted: Mapping[ProductId, int],
    paid: Mapping[ProductId, int],
    basket: Basket,
) -> None:
    """Check that the cart has these units, and that they are not paid yet.

    Raises `NoDustPrice`, `NotWholeUnits`, `UnitsNotInCart`, `CartTakesNoPoints`.
    """
    require_whole_units(cart, wanted)
    left = unpaid_units(cart, prices, paid)
    for product_id, quantity in wanted.items():
        if product_id not in prices:
            raise NoDustPrice(product_id=product_id)
        if quantity > left[product_id]:
            raise UnitsNotInCart(product_id, left[product_id])
    optional = {product_id: quantity for product_id, quantity in wanted.items() if product_id not in basket.dust_only}
    takes = sum((_prices_of(cart, product_id)(quantity) for product_id, quantity in optional.items()), Decimal(0))
    if basket.due_beside_credit is not None and takes > basket.due_beside_credit:
        raise CartTakesNoPoints


def require_whole_units(cart: Cart, dust_only: Collection[ProductId]) -> None:
    """Raise `NotWholeUnits` if the cart has a fraction of a unit of a points-only product."""
    for line in cart.lines:
        if line.product_id in dust_only and not is_whole(line.quantity):
            raise NotWholeUnits(line.quantity)


def is_whole(quantity: Decimal) -> bool:
    return quantity == quantity.to_integral_value()
