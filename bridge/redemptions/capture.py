"""Book what an order used of a redemption, as the difference to a target.

The target is how much of each code the order uses as it is now. The difference to what is already captured is captured
from the hold, spent in addition, or given back to the lots it came from.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import assert_never

import structlog
from sqlalchemy import Connection

from bridge.ledger.account import Account
from bridge.medusa.order_lines import CodeUse, Line
from bridge.medusa.orders import Order
from bridge.programme.spending import dust_for_value
from bridge.redemptions import lifecycle
from bridge.redemptions.repository import Code, Redemption, lock_redemption, store_code_use, store_second_use
from bridge.redemptions.tables import RedemptionKind, RedemptionState

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class FirstUse:
    """What a code took off a line when the order was first settled: money with tax, or units of the product."""

    ordered: Decimal
    """How many units the line had."""
    amount: Decimal
    units: Decimal

    def share_of(self, line: Line) -> Decimal:
        """Return the share of the line's first units that remains. After an edit that adds units it is above 1."""
        return line.units / self.ordered if self.ordered > 0 else Decimal(0)


FirstUses = Mapping[str, Mapping[str, FirstUse]]
"""By code, then by line."""


def product_codes(redemptions: Iterable[Redemption]) -> frozenset[str]:
    """Return the codes that pay for whole units of a product."""
    return frozenset(code.code for redemption in redemptions for code in redemption.codes if code.product_id)


def first_uses(order: Order, redemptions: Iterable[Redemption], product_codes: Collection[str]) -> FirstUses:
    """Return what these redemptions' codes take off the order's lines, to be stored at its first settlement."""
    return {
        code.code: {
            line.id: FirstUse(ordered=line.ordered, amount=use.given, units=_units_paid(line, use, product_codes))
            for line, use in order.uses_of(code.code)
        }
        for redemption in redemptions
        for code in redemption.codes
    }


def used_dust(
    redemption: Redemption, code: Code, order: Order, *, product_codes: Collection[str], first: FirstUses
) -> int:
    """Return how many of the code's points the order uses as it is now; 0 once it is canceled.

    The result is rounded up, so the points given back are never worth more than their share of what came back.
    """
    if order.canceled:
        return 0
    before = first.get(code.code, {})
    match redemption.kind:
        case RedemptionKind.FIXED:
            return _share(code, _amount(code, order, before), code.value)
        case RedemptionKind.PRODUCTS:
            return _share(code, _units(code, order, before, product_codes), code.quantity)
        case RedemptionKind.PERCENTAGE | RedemptionKind.FREE_PRODUCT:
            # A reward has one price, whatever it takes off. An order that keeps 75 % of the discount uses 75 % of the
            # points: a reward for 400 took 10.00 off; a line is returned and 7.50 remain: 300 are used, 100 given back.
            # A line counts with its first amount, a line that an edit added with its present one.
            present_amounts = {line.id: use.given for line, use in order.uses_of(code.code)}
            first_amounts = {line_id: use.amount for line_id, use in before.items()}
            whole = sum((present_amounts | first_amounts).values(), Decimal(0))
            return _share(code, _amount(code, order, before), whole)
        case RedemptionKind.FREE_SHIPPING:
            uses = _uses(redemption, code, order)
            given_in_all = sum((use.given for use in uses), Decimal(0))
            return _share(code, sum((use.amount for use in uses), Decimal(0)), given_in_all)
    assert_never(redemption.kind)


def _share(code: Code, part: Decimal, whole: Decimal | int | None) -> int:
    """Return the code's points times `part` / `whole`, rounded up."""
    if not whole or part <= 0:
        return 0
    return min(code.dust, dust_for_value(code.dust / Decimal(whole), part))


def _amount(code: Code, order: Order, before: Mapping[str, FirstUse]) -> Decimal:
    """Return what the code takes off the units that the order still has of its first ones.

    After a return Medusa reduces the discount by the share of the units. After an order edit it leaves the discount as
    it was (2.21.2), so the same share is computed here. An edit and a return to the same goods then use the same
    points.
    """
    total = Decimal(0)
    for line, use in order.uses_of(code.code):
        first = before.get(line.id)
        total += min(use.amount, first.amount * first.share_of(line)) if first else use.amount
    return total


def _units(code: Code, order: Order, before: Mapping[str, FirstUse], product_codes: Collection[str]) -> Decimal:
    """Return how many of the units that the customer keeps the code pays for: fewer after returns, in proportion.

    It paid for 4 of 10 units and 9 come back, so it still pays for 0.4 units.
    """
    total = Decimal(0)
    for line, use in order.uses_of(code.code):
        paid, first = _units_paid(line, use, product_codes), before.get(line.id)
        units = paid * line.units / line.ordered if paid else paid
        total += min(units, first.units * first.share_of(line)) if first else units
    return total


def _units_paid(line: Line, use: CodeUse, product_codes: Collection[str]) -> Decimal:
    """Return how many of the line's ordered units the code pays for.

    It pays for whole units: what the code took off, divided by what a unit costs after other discounts. Example: the
    shop's own coupon took 9.00 off a mug of 15.00 and the code the other 6.00, so the code paid for one mug. An order
    edit can leave a weight, such as 1.4 of 2 units: then nothing is rounded.
    """
    by_units = sum((unit_use.amount for unit_use in line.code_uses if unit_use.code in product_codes), Decimal(0))
    if by_units <= 0 or line.units <= 0:
        return Decimal(0)
    paid = line.ordered * use.amount / (line.gross + by_units)
    if line.ordered == line.ordered.to_integral_value():
        paid = paid.to_integral_value(ROUND_HALF_UP)
    return min(paid, line.ordered)


def _uses(redemption: Redemption, code: Code, order: Order) -> list[CodeUse]:
    if redemption.kind is RedemptionKind.FREE_SHIPPING:
        return [use for use in order.shipping_uses if use.code == code.code]
    return [use for _, use in order.uses_of(code.code)]


def is_used_by(redemption: Redemption, order: Order) -> bool:
    """Whether one of the codes takes something off the order, or did at its last settlement."""
    return bool(_codes_of(redemption, order))


def report_second_use(connection: Connection, redemption: Redemption, order: Order) -> None:
    """Record that the order carries a code that another order has used. The redemption's row is locked.

    Medusa's limit prevents this, with one exception: the other order was deleted because its payment was declined, and
    the same cart was completed again. When Dust learns of the deletion, this order uses the code. In any other case the
    order got a discount without paying points; what a merchant's own tools (drafts, for example) can do there is not
    known.
    """
    codes = [
        code for code in redemption.codes if code.order_id not in {None, order.id} and _uses(redemption, code, order)
    ]
    if not codes:
        return
    log.error("code_in_two_orders", redemption_id=redemption.id, order_id=order.id)
    if not order.canceled:
        store_second_use(connection, [code.code for code in codes], order_id=order.id)


def _codes_of(redemption: Redemption, order: Order) -> list[Code]:
    """Return the redemption's codes that belong to this order. Medusa's limit allows a code in one order only."""
    return [
        code
        for code in redemption.codes
        if code.order_id == order.id or (code.order_id is None and _uses(redemption, code, order))
    ]


def book_use(
    connection: Connection,
    account: Account,
    redemption: Redemption,
    order: Order,
    *,
    product_codes: Collection[str],
    first: FirstUses,
    spent: dict[str, int],
    now: datetime,
) -> Redemption:
    """Post the difference to what `order` uses of `redemption`; `account` and the redemption's row are locked.

    `spent` is the origin of its captured points, by lot. It is updated, because the next order of a batch may use the
    same redemption. `product_codes` are the codes that pay for whole units; `first` is what codes took off the order's
    lines at its first settlement.
    """
    # Two orders of a batch may each have a code of it, or both the same one: the first has changed the row.
    redemption = lock_redemption(connection, redemption.id)
    if order.gone:
        return lifecycle.order_deleted(connection, account, redemption, order, spent=spent, now=now)
    used = {
        code.code: used_dust(redemption, code, order, product_codes=product_codes, first=first)
        for code in _codes_of(redemption, order)
    }
    if not used:
        report_second_use(connection, redemption, order)
        return redemption
    booked = sum(code.dust_captured for code in redemption.codes if code.code in used)
    codes = tuple(
        replace(code, order_id=order.id, dust_captured=used[code.code]) if code.code in used else code
        for code in redemption.codes
    )
    for code in codes:
        if code.code in used and code not in redemption.codes:
            store_code_use(connection, code.code, order_id=order.id, dust_captured=code.dust_captured)
    redemption = replace(redemption, codes=codes)
    target = sum(used.values())
    if redemption.open:
        return lifecycle.capture(connection, account, redemption, order, target, now=now)
    difference = target - booked
    if difference == 0:
        return redemption
    is_first_use = redemption.order_id != order.id and not booked
    if difference > 0 and (redemption.state is not RedemptionState.CAPTURED or is_first_use):
        return lifecycle.late_use(connection, account, redemption, order, difference, spent=spent, now=now)
    return lifecycle.change_use(connection, account, redemption, order, difference, spent=spent, now=now)
