"""An order's lines, and what promotion codes take off them and off the shipping."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from bridge.medusa.order_shapes import AdjustmentShape, ItemShape, OrderShape, category_ids

# Medusa's sums of divided amounts differ by less.
_MAX_NOISE = Decimal("0.000001")


@dataclass(frozen=True, kw_only=True)
class CodeUse:
    """How much a promotion code takes off a line as it is now: money with tax.

    `given` is what the code took off at first, with tax, before any return.
    """

    code: str
    amount: Decimal
    given: Decimal


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line item as it is now, after discounts and returns. `net` is without tax, `gross` with it.

    Neither is below zero here. Medusa's may be: an order edit that removes units leaves a fixed discount as it was.
    """

    id: str
    product_id: str | None
    category_ids: frozenset[str]
    collection_id: str | None
    ordered: Decimal
    """The total number of units, as the order was placed or last edited."""
    units: Decimal
    """The units that the customer keeps, without any that came back, damaged or not. May be a weight, such as 1.5."""
    net: Decimal
    gross: Decimal
    code_uses: tuple[CodeUse, ...]
    swapped_in: bool = False
    """Whether a claim or an exchange added it."""
    all_came_back: bool = False
    """Whether no part of it is with the customer or on the way."""


def read_line(item: ItemShape, *, swapped_in: bool) -> Line:
    """Return the line that Medusa's JSON describes."""
    return Line(
        id=item.id,
        product_id=item.product_id,
        category_ids=category_ids(item.product),
        collection_id=item.product.collection_id if item.product else None,
        ordered=item.quantity,
        units=_units_kept(item),
        net=max(item.total - item.tax_total, Decimal(0)),
        gross=max(item.total, Decimal(0)),
        code_uses=tuple(_code_uses(item)),
        swapped_in=swapped_in,
        all_came_back=item.detail is not None and item.quantity <= item.detail.came_back,
    )


def _code_uses(item: ItemShape) -> Iterable[CodeUse]:
    """Split the line's discount over its codes.

    After a return, adjustments keep the amount of the full line, and only `discount_total` shrinks: half of the line
    returned means half of each code used. (order_after_return_and_refund.json: adjustments of 2.50 with tax, of which
    1.25 remain.)
    """
    given = _given(item.adjustments)
    given_in_all = discount_with_tax(item.adjustments)
    if given_in_all <= 0:
        return
    discount = item.discount_total if item.discount_total is not None else given_in_all
    # The price of what remains of this line, with tax, before discounts.
    before_discounts = item.total + discount
    # After an order edit the discount may exceed the rest of the line (2.21.2).
    discount = max(min(discount, before_discounts), Decimal(0))
    for code, amount in given.items():
        yield CodeUse(code=code, amount=amount * discount / given_in_all, given=amount)


def shipping_uses(order: OrderShape) -> Iterable[CodeUse]:
    """Yield what codes take off the shipping. A return of items leaves it as it was (tried on Medusa 2.21.2)."""
    if order.shipping_methods is None:
        # A snapshot without shipping methods. Medusa lists no code that takes nothing off, so a code on no line is for
        # shipping.
        on_lines = {code for item in order.items for code in _given(item.adjustments)}
        for promotion in order.promotions or ():
            if promotion and promotion.code and promotion.code not in on_lines:
                yield CodeUse(code=promotion.code, amount=Decimal(1), given=Decimal(1))
    for method in order.shipping_methods or ():
        given_in_all = discount_with_tax(method.adjustments) if method else Decimal(0)
        if method is None or given_in_all <= 0:
            continue
        discount = method.discount_total if method.discount_total is not None else given_in_all
        for code, amount in _given(method.adjustments).items():
            yield CodeUse(code=code, amount=amount * discount / given_in_all, given=amount)


def _given(adjustments: Iterable[AdjustmentShape] | None) -> dict[str, Decimal]:
    """Return what each code takes off, by these adjustments."""
    given: dict[str, Decimal] = defaultdict(Decimal)
    for code, amount in _with_tax(adjustments):
        if code and amount > 0:
            given[code] += amount
    return given


def discount_with_tax(adjustments: Iterable[AdjustmentShape] | None) -> Decimal:
    """Return what these adjustments take off together, with tax."""
    return sum((amount for _, amount in _with_tax(adjustments)), Decimal(0))


def _with_tax(adjustments: Iterable[AdjustmentShape] | None) -> Iterator[tuple[str | None, Decimal]]:
    """Yield the code of each adjustment, and what it takes off with tax.

    In Medusa 2.13.6 the `total` of an adjustment contains those of all earlier ones of the line; in 2.18.0 and 2.21.2
    it is its own.
    """
    before = Decimal(0)
    for adjustment in adjustments or ():
        total = adjustment.amount if adjustment.total is None else adjustment.total
        tax_factor = total / adjustment.subtotal if adjustment.subtotal and not adjustment.is_tax_inclusive else 1
        own = adjustment.amount * tax_factor
        is_sum = before > 0 and abs(before + own - total) < _MAX_NOISE
        yield adjustment.code, own if is_sum else total
        before = total


def _units_kept(item: ItemShape) -> Decimal:
    """Return the units of the line's present totals, without those that came back, damaged or not."""
    if item.detail is not None:
        return max(item.quantity - item.detail.came_back, Decimal(0))
    if item.unit_price <= 0:
        return item.quantity
    worth = item.total + (item.discount_total or 0) if item.is_tax_inclusive else item.subtotal
    return worth / item.unit_price
