"""What a wish to spend dust costs, and whether the programme allows it. No I/O: prices and cart are handed in."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from bridge.errors import Conflict, InvalidInput
from bridge.ids import ProductId
from bridge.ledger.account import InsufficientDust
from bridge.medusa.carts import Cart
from bridge.medusa.currencies import smallest_unit
from bridge.programme.rules import Redeem
from bridge.programme.worth import discount_value, most_dust_within
from bridge.redemptions.basket import Basket
from bridge.redemptions.tables import RedemptionKind

MOST_UNITS = 1_000


class NoRate(InvalidInput):
    """The programme redeems nothing in this currency."""

    code = "no_redeem_rate"

    def __init__(self, currency_code: str) -> None:
        super().__init__(f"Dust cannot be redeemed in {currency_code}.", currency_code=currency_code)


class BelowMinimum(InvalidInput):
    code = "below_minimum"

    def __init__(self, *, dust: int, min_dust: int) -> None:
        super().__init__(f"{dust} dust are too few: redeem at least {min_dust}.", min_dust=min_dust)


class AboveMaximum(InvalidInput):
    code = "above_maximum"

    def __init__(self, *, dust: int, max_dust: int) -> None:
        super().__init__(f"{dust} dust are too many: {max_dust} are the most here.", max_dust=max_dust)


class NoDustPrice(InvalidInput):
    """A product was asked for that dust cannot buy."""

    code = "no_dust_price"

    def __init__(self, product_id: str) -> None:
        super().__init__(f"Product {product_id} has no dust price.", product_id=product_id)


class NothingToPay(Conflict):
    """The cart has no dust-only line that is not paid for already."""

    code = "nothing_to_pay"

    def __init__(self) -> None:
        super().__init__("The cart has no product that still has to be paid with dust.")


class NotWholeUnits(InvalidInput):
    """A product with a points price is in the cart by weight."""

    code = "not_whole_units"

    def __init__(self, quantity: Decimal) -> None:
        super().__init__(
            f"The cart has {quantity.normalize():f} of a product that is paid with points. Points pay for whole units "
            "only: please choose a whole number."
        )


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one promotion code will be for: a discount (`value`), or units of a product."""

    dust: int
    value: Decimal | None = None
    product_id: ProductId | None = None
    quantity: int | None = None


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What is to be held and promised. Products have a part each, everything else has one.

    `least_cart` is what a cart's items must cost, with tax, for the code to take anything off.
    """

    kind: RedemptionKind
    dust: int
    parts: tuple[Part, ...]
    value: Decimal | None = None
    currency_code: str | None = None
    reward_id: str | None = None
    percent: Decimal | None = None
    least_cart: Decimal | None = None


def discount_terms(
    rules: Redeem, *, dust: int | None, currency_code: str, available: int, basket: Basket | None
) -> Terms:
    """Terms of a fixed discount. `dust` None means as much as possible; `basket` is the cart's, if there is one.

    Raises `NoRate`, `BelowMinimum`, `AboveMaximum`, `InsufficientDust`.
    """
    if currency_code not in rules.rates:
        raise NoRate(currency_code)
    most = most_dust_within(rules, basket.room, currency_code) if basket else rules.max_dust
    if dust is None:
        dust = available if most is None else min(available, most)
        if dust < rules.min_dust and available < rules.min_dust:
            raise InsufficientDust(asked=rules.min_dust, available=available)
    if most is not None and dust > most:
        raise AboveMaximum(dust=dust, max_dust=most)
    if dust < rules.min_dust:
        raise BelowMinimum(dust=dust, min_dust=rules.min_dust)
    value = discount_value(rules, dust, currency_code)
    if not value:
        smallest = next(n for n in _powers_of_ten() if discount_value(rules, n, currency_code))
        raise BelowMinimum(dust=dust, min_dust=smallest)
    part = Part(dust=dust, value=value)
    return Terms(
        kind=RedemptionKind.FIXED,
        dust=dust,
        parts=(part,),
        value=value,
        currency_code=currency_code,
        least_cart=least_cart_for(rules, value, currency_code),
    )


def least_cart_for(rules: Redeem, value: Decimal, currency_code: str) -> Decimal | None:
    """What a cart must be worth for `value` to be within the programme's share; None when the share is the whole.

    Medusa checks it whenever the cart changes, so a cart that was filled for the code cannot be emptied afterwards.
    """
    if rules.max_share >= 1:
        return None
    return (value / rules.max_share).quantize(smallest_unit(currency_code), ROUND_FLOOR)


def product_terms(prices: Mapping[ProductId, int], wanted: Mapping[ProductId, int]) -> Terms:
    """Terms of buying units of products for their dust prices. Raises `NoDustPrice`."""
    parts = []
    for product_id, quantity in wanted.items():
        price = prices.get(product_id)
        if price is None:
            raise NoDustPrice(product_id)
        parts.append(Part(dust=price * quantity, product_id=product_id, quantity=quantity))
    return Terms(kind=RedemptionKind.PRODUCTS, dust=sum(part.dust for part in parts), parts=tuple(parts))


def unpaid_dust_only(
    cart: Cart, dust_only: Mapping[ProductId, int], paid: Mapping[ProductId, int]
) -> Counter[ProductId]:
    """Units of dust-only products in the cart, less those that open redemptions for it already pay.

    A line with a part of a unit is left out: points cannot pay for it.
    """
    units: Counter[ProductId] = Counter()
    for line in cart.lines:
        if line.product_id is not None and line.product_id in dust_only and is_whole(line.quantity):
            units[line.product_id] += int(line.quantity)
    return +(units - Counter(paid))


def require_whole_units(cart: Cart, dust_only: Collection[ProductId]) -> None:
    """Raises `NotWholeUnits` when the cart has a part of a unit of a dust-only product."""
    for line in cart.lines:
        if line.product_id in dust_only and not is_whole(line.quantity):
            raise NotWholeUnits(line.quantity)


def is_whole(quantity: Decimal) -> bool:
    return quantity == quantity.to_integral_value()


def _powers_of_ten() -> list[int]:
    return [10**n for n in range(13)]
