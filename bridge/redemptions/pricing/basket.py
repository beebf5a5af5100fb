"""How much of a cart points may discount. No I/O."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from bridge.ids import ProductId
from bridge.medusa.amounts import sum_of
from bridge.medusa.carts import Cart, CartLine
from bridge.medusa.currencies import amount_to_pay, round_down
from bridge.programme.fields import MILLIONTH
from bridge.programme.spending import percentage_of
from bridge.redemptions.tables import RedemptionKind


@dataclass(frozen=True, kw_only=True)
class OpenCode:
    """The code of an open redemption that is in a cart, or was made for it.

    `value` is a fixed sum. Without it, the code is for a percentage of the lines, for `quantity` units of a product, or
    for the whole shipping.
    """

    code: str
    kind: RedemptionKind
    value: Decimal | None = None
    percent: Decimal | None = None
    product_id: ProductId | None = None
    quantity: int | None = None


@dataclass(frozen=True, kw_only=True)
class Basket:
    """The lines of a cart without points-only products. Sums are in major units, with tax.

    `total` is what they cost after the shop's own discounts and before points, `discountable` the part of it that
    promotions apply to. `max_discount` is how much points may still take off; `is_all_due` says whether that is all
    that is left to pay for them, and not a share of it. `due_beside_credit` is what is left to pay, with shipping, once
    all redeemed codes are in the cart; None if no gift card or store credit pays a part. `dust_only` are the products
    that were left out.
    """

    currency_code: str
    total: Decimal
    discountable: Decimal
    max_discount: Decimal
    is_all_due: bool = False
    due_beside_credit: Decimal | None = None
    dust_only: frozenset[ProductId] = frozenset()

    @property
    def max_value(self) -> Decimal:
        """The highest discount that may be redeemed, in the currency's smallest units if it is all that is due.

        9.99 with 19 % tax on top are 11.8881. The shopper sees 11.89 and can pay that with points.
        """
        return amount_to_pay(self.max_discount, self.currency_code) if self.is_all_due else self.max_discount

    def promotion_value(self, value: Decimal) -> Decimal:
        """Return what the promotion for a discount of `value` takes off.

        For the highest one, it is all that is due, with its fraction of a cent: Medusa asks for payment of any rest.
        """
        return millionths(self.max_discount) if self.is_all_due and value == self.max_value else value


def basket_of(cart: Cart, *, dust_only: Collection[ProductId], codes: Iterable[OpenCode], max_share: Decimal) -> Basket:
    """Compute what points may take off a cart.

    `codes` are those of the customer's open redemptions: they are in this cart, or will be added to it. With a
    `max_share` of one half, points can take 10.00 off a cart of 20.00, and 4.00 if they take 6.00 off it already. The
    share is of the whole cart: a second code does not get half of what the first has left. Points never take off what a
    gift card pays: Medusa would take both off, down to a total below zero.
    """
    lines = [line for line in cart.lines if line.product_id not in dust_only]
    by_code = {code.code: code for code in codes}
    discounts = {code.code for code in by_code.values() if code.kind.counts_for_share}
    coming = [code for code in by_code.values() if code.code not in cart.promotion_codes]
    units = _price_of_bought_units(coming, lines, cart.currency_code)
    taken = sum_of(line.discounts[code] for line in lines for code in line.discounts if code in discounts)
    total = sum_of(line.gross for line in lines) + taken - units
    left = sum_of(line.gross for line in lines if line.discountable) - units
    coming_discounts = sum(
        (_expected(code, lines, left + taken, cart.currency_code) for code in coming if code.kind.counts_for_share),
        Decimal(0),
    )
    within_share = total * max_share - taken
    due = max(Decimal(0), cart.due_without(dust_only) - units - _coming_off_shipping(coming, cart))
    left_to_pay = min(left, due)
    return Basket(
        currency_code=cart.currency_code,
        total=total,
        discountable=left + taken,
        max_discount=max(Decimal(0), min(within_share, left_to_pay) - coming_discounts),
        is_all_due=max_share >= 1 or left_to_pay < within_share,
        due_beside_credit=max(Decimal(0), due - coming_discounts) if cart.credit else None,
        dust_only=frozenset(product for product in dust_only if product is not None),
    )


def basket_of_amount(amount: Decimal, *, currency_code: str, max_share: Decimal) -> Basket:
    """Compute what points may take off an amount for which there is no cart yet."""
    return Basket(currency_code=currency_code, total=amount, discountable=amount, max_discount=amount * max_share)


def millionths(value: Decimal) -> Decimal:
    """Round up to the six places that the database stores: rounded down, a fraction of a cent would be left to pay."""
    return value.quantize(MILLIONTH, ROUND_CEILING)


def _expected(code: OpenCode, lines: Iterable[CartLine], discountable: Decimal, currency_code: str) -> Decimal:
    """Return what a code that is not in the cart yet will take off its lines."""
    if code.value is not None:
        return code.value
    if code.percent is not None:
        return percentage_of(code.percent, discountable, currency_code)
    return price_of_units(lines, code.product_id, code.quantity or 0, currency_code)


def _price_of_bought_units(coming: Iterable[OpenCode], lines: Sequence[CartLine], currency_code: str) -> Decimal:
    """Return what units cost that points have bought, and whose codes are not in the cart yet."""
    units: Counter[ProductId] = Counter()
    for code in coming:
        if code.kind is RedemptionKind.PRODUCTS and code.product_id and code.quantity:
            units[code.product_id] += code.quantity
    return sum(
        (price_of_units(lines, product_id, quantity, currency_code) for product_id, quantity in units.items()),
        Decimal(0),
    )


def _coming_off_shipping(coming: Iterable[OpenCode], cart: Cart) -> Decimal:
    """Return what free shipping will take off that is not in the cart yet: all of its price, to be sure."""
    is_coming = any(code.kind is RedemptionKind.FREE_SHIPPING for code in coming)
    return cart.shipping_gross or Decimal(0) if is_coming else Decimal(0)


def price_of_units(
    lines: Iterable[CartLine], product_id: ProductId | None, quantity: int, currency_code: str
) -> Decimal:
    """Return what `quantity` units of a product cost in the cart. The cheapest come first, as in Medusa's discount."""
    price, left = Decimal(0), Decimal(quantity)
    matching = [line for line in lines if line.product_id == product_id and line.discountable and line.quantity > 0]
    for line in sorted(matching, key=lambda line: line.gross / line.quantity):
        units = min(left, line.quantity)
        price += line.gross * units / line.quantity
        left -= units
    return round_down(sum_of([price]), currency_code)
