"""Book what an order used of a redemption, as the difference to a target.

The target is how much of each code the order uses as it is now. The difference to what is already captured is captured
from the hold, spent in addition, or given back to the lots it came from.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import assert_never

import structlog
from sqlalchemy import Connection

from bridge.ledger.account import Account
from bridge.medusa.currencies import amount_to_pay
from bridge.medusa.order_lines import CodeUse, Line
from bridge.medusa.orders import Order
from bridge.programme.fields import MILLIONTH
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
    version: int = 1
    """The version of the order that this was read from: above 1 if Dust saw the order only after an edit or a return.
    """

    def share_of(self, line: Line) -> Decimal:
        """Return the share of the line's first units that remains. After an edit that adds units it is above 1."""
        return line.units / self.ordered if self.ordered > 0 else Decimal(0)


FirstUses = Mapping[str, Mapping[str, FirstUse]]
"""By code, then by line."""


def first_uses(order: Order, redemptions: Iterable[Redemption]) -> FirstUses:
    """Return what these redemptions' codes take off the order's lines, to be stored at its first settlement."""
    return {code.code: _first_uses(code, order) for redemption in redemptions for code in redemption.codes}


def _first_uses(code: Code, order: Order) -> Mapping[str, FirstUse]:
    units = units_paid(code, order)
    return {
        line.id: FirstUse(
            ordered=line.ordered, amount=use.given, units=units.get(line.id, Decimal(0)), version=order.version
        )
        for line, use in order.uses_of(code.code)
    }


def used_dust(redemption: Redemption, code: Code, order: Order, *, first: FirstUses) -> int:
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
            return _share(code, _units(code, order, before), code.quantity)
        case RedemptionKind.PERCENTAGE | RedemptionKind.FREE_PRODUCT:
            # A reward has one price, whatever it takes off. An order that keeps 75 % of the discount uses 75 % of the
            # points: a reward for 400 took 10.00 off; a line is returned and 7.50 remain: 300 are used, 100 given back.
            # The points paid for what the order had at first. Medusa 2.12.0 and later takes a percentage also off what
            # an edit or an exchange adds, if the merchant wants it: that changes nothing, and neither does its return.
            present_amounts = [use.given for _, use in order.uses_of(code.code)]
            amount_at_first = sum([use.amount for use in before.values()] or present_amounts, Decimal(0))
            return _share(code, _amount(code, order, before), amount_at_first)
        case RedemptionKind.FREE_SHIPPING:
            uses = _uses(redemption, code, order)
            given_in_all = sum((use.given for use in uses), Decimal(0))
            return _share(code, sum((use.amount for use in uses), Decimal(0)), given_in_all)
    assert_never(redemption.kind)


def _share(code: Code, part: Decimal, total: Decimal | int | None) -> int:
    """Return the code's points times `part` / `total`, rounded up."""
    if not total or part <= 0:
        return 0
    return min(code.dust, dust_for_value(code.dust / Decimal(total), part))


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


def _units(code: Code, order: Order, before: Mapping[str, FirstUse]) -> Decimal:
    """Return how many of the units that the customer keeps the code pays for: fewer after returns, in proportion.

    It paid for 4 of 10 units and 9 come back, so it still pays for 0.4 units.
    """
    total, paid = Decimal(0), units_paid(code, order)
    for line, _ in order.uses_of(code.code):
        first = before.get(line.id)
        units = paid[line.id] * line.units / line.ordered if line.id in paid else Decimal(0)
        total += min(units, first.units * first.share_of(line)) if first else units
    return total


def units_paid(code: Code, order: Order) -> dict[str, Decimal]:
    """Return how many of the ordered units of each line the code pays for, by line id; none if it is for a sum.

    It takes the price of its units off, before other discounts, or what those have left of the line if that is less
    (Medusa 2.13.6 and 2.21.2: they are applied before it or after it, the largest value first). Examples of 3 mugs at
    15.00, with a code for 2 of them:

        the shop's coupon     takes   the code takes   left   units
        10 % of what is left   1.50            30.00   13.50      2
        27.00 before the code 27.00            18.00    0.00      2
    """
    quantity = Decimal(code.quantity or 0)
    lines = [line for line, _ in order.uses_of(code.code) if line.units > 0] if quantity else []
    paid = {line.id: _units_at_full_price(code, line) for line in lines}
    total = sum(paid.values(), Decimal(0))
    if total > quantity:
        return {line_id: units * quantity / total for line_id, units in paid.items()}
    # It paid for more of a line than its price shows if other discounts had left too little of it.
    room = {
        line.id: line.ordered - paid[line.id] for line in lines if amount_to_pay(line.gross, order.currency_code) <= 0
    }
    total_room = sum(room.values(), Decimal(0))
    part = min((quantity - total) / total_room, Decimal(1)) if total_room > 0 else Decimal(0)
    return {line_id: units + room.get(line_id, Decimal(0)) * part for line_id, units in paid.items()}


def _units_at_full_price(code: Code, line: Line) -> Decimal:
    """Return what the code took off the line, in units at their price before all discounts."""
    price = line.gross + sum((use.amount for use in line.code_uses), Decimal(0))
    amount = sum((use.amount for use in line.code_uses if use.code == code.code), Decimal(0))
    units = line.ordered * amount / price if price > 0 else Decimal(0)
    rounded = units.to_integral_value(ROUND_HALF_UP)
    # Amounts may be short in their tenth decimal place.
    return min(rounded if abs(units - rounded) < MILLIONTH else units, line.ordered)


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
    first: FirstUses,
    spent: dict[str, int],
    now: datetime,
) -> Redemption:
    """Post the difference to what `order` uses of `redemption`; `account` and the redemption's row are locked.

    `spent` is the origin of its captured points, by lot. It is updated, because the next order of a batch may use the
    same redemption. `first` is what codes took off the order's lines at its first settlement.
    """
    # Two orders of a batch may each have a code of it, or both the same one: the first has changed the row.
    redemption = lock_redemption(connection, redemption.id)
    if order.gone:
        return lifecycle.order_deleted(connection, account, redemption, order, spent=spent, now=now)
    used = {code.code: used_dust(redemption, code, order, first=first) for code in _codes_of(redemption, order)}
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
