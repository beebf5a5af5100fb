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

from bridge.ids import OrderId
from bridge.ledger.account import Account, InsufficientDust, Kind, PostingDetails
from bridge.ledger.store import reserved_lots
from bridge.medusa.orders import CodeUse, Line, Order
from bridge.observability.metrics import REDEMPTIONS_ENDED
from bridge.programme.earning import dust_for_value
from bridge.redemptions.service import (
    Code,
    Redemption,
    lock_redemption,
    store_code_use,
    store_second_use,
    update_redemption,
)
from bridge.redemptions.tables import RedemptionKind, State

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


def first_uses(order: Order, redemptions: Iterable[Redemption], product_codes: Collection[str]) -> FirstUses:
    """Return what these redemptions' codes take off the order's lines, to be stored at its first settlement."""
    return {
        code.code: {
            line.id: FirstUse(ordered=line.ordered, amount=use.given, units=_units(line, use, product_codes, all=True))
            for line in order.lines
            for use in line.code_uses
            if use.code == code.code
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
            units = sum((_units_left(line, code, product_codes, before) for line in order.lines), Decimal(0))
            return _share(code, units, code.quantity)
        case RedemptionKind.PERCENTAGE | RedemptionKind.FREE_PRODUCT:
            # The price does not depend on what the reward takes off: all points while all of the discount remains, a
            # part with a part. A reward for 400 took 10.00 off; a line is returned and 7.50 remain: 300 are used, 100
            # given back.
            gone = {line_id: use.amount for line_id, use in before.items()}
            given = {line.id: use.given for line in order.lines for use in line.code_uses if use.code == code.code}
            return _share(code, _amount(code, order, before), sum((given | gone).values(), Decimal(0)))
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
    for line in order.lines:
        for use in line.code_uses:
            if use.code == code.code:
                first = before.get(line.id)
                total += min(use.amount, first.amount * first.share_of(line)) if first else use.amount
    return total


def _units_left(line: Line, code: Code, product_codes: Collection[str], before: Mapping[str, FirstUse]) -> Decimal:
    use = next((use for use in line.code_uses if use.code == code.code), None)
    if use is None:
        return Decimal(0)
    units, first = _units(line, use, product_codes), before.get(line.id)
    return min(units, first.units * first.share_of(line)) if first else units


def _units(line: Line, use: CodeUse, product_codes: Collection[str], *, all: bool = False) -> Decimal:
    """Return how many units of the line the code pays for, of those that the customer keeps or of `all` ordered.

    It pays for whole units of what was ordered, at the price that other discounts leave. Example: the shop's own coupon
    took 9.00 off a mug of 15.00, and the code the remaining 6.00, which is one mug. If it pays for 4 of 10 units and 9
    come back, 0.4 units are still paid with points.
    """
    by_units = sum((each.amount for each in line.code_uses if each.code in product_codes), Decimal(0))
    if by_units <= 0 or line.units <= 0:
        return Decimal(0)
    whole = (line.ordered * use.amount / (line.gross + by_units)).to_integral_value(ROUND_HALF_UP)
    whole = min(whole, line.ordered)
    return whole if all else whole * line.units / line.ordered


def _uses(redemption: Redemption, code: Code, order: Order) -> list[CodeUse]:
    if redemption.kind is RedemptionKind.FREE_SHIPPING:
        return [use for use in order.shipping_uses if use.code == code.code]
    return order.uses_of(code.code)


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
    codes = [c for c in redemption.codes if c.order_id not in {None, order.id} and _uses(redemption, c, order)]
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
        return _free_codes(connection, account, redemption, order, spent, now)
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
    target = sum(used.values())
    if redemption.open:
        return _capture(connection, account, replace(redemption, codes=codes), order, target, now)
    difference = target - booked
    if difference > 0:
        details = _memo(Kind.REDEEM, redemption, order, "Dust spent on an order")
        account.overdraw(difference, details, now=now)
    elif difference < 0:
        details = _memo(Kind.REFUND, redemption, order, "Dust of an order given back")
        account.refund(-difference, spent, details, now=now)
    else:
        return replace(redemption, codes=codes)
    # Not always the last posting: a refund may be followed by a posting that takes waived points.
    for move in next(posting for posting in reversed(account.postings) if posting.details is details).moves:
        if move.remaining:
            spent[move.lot_id] = spent.get(move.lot_id, 0) - move.remaining
    changes: dict[str, object] = {"dust_captured": redemption.dust_captured + difference}
    if difference > 0 and (
        redemption.state is not State.CAPTURED or (redemption.order_id != order.id and not booked)
    ):  # fmt: skip
        # The code was withdrawn, but an order has used it: Medusa completed the order in between, or the promotion was
        # created again by hand. The use is booked, and the log entry informs an operator.
        log.error("used_after_release", redemption_id=redemption.id, order_id=order.id, dust=difference)
        reason = f"Order {order.id} used the code although it had been withdrawn; the dust was booked all the same."
        changes |= {"state": State.CAPTURED.value, "order_id": redemption.order_id or order.id, "reason": reason}
    update_redemption(connection, redemption.id, now=now, **changes)
    return replace(redemption, codes=codes, dust_captured=redemption.dust_captured + difference)


def _capture(
    connection: Connection, account: Account, redemption: Redemption, order: Order, target: int, now: datetime
) -> Redemption:
    reserved = reserved_lots(connection, redemption.customer_id, redemption.id)
    if target:
        account.redeem(target, reserved, _memo(Kind.REDEEM, redemption, order, "Dust spent on an order"), now=now)
        for move in account.postings[-1].moves:
            reserved[move.lot_id] = reserved.get(move.lot_id, 0) + move.held
    rest = {lot_id: amount for lot_id, amount in reserved.items() if amount}
    if rest:
        account.release(rest, _memo(Kind.RELEASE, redemption, order, "Dust not needed by the order"), now=now)
    state = State.CAPTURED if target else State.RELEASED
    reason = None if target else "The order that used the code was canceled."
    update_redemption(
        connection,
        redemption.id,
        now=now,
        state=state.value,
        dust_captured=target,
        order_id=order.id,
        reason=reason,
        # Unused codes have to be deleted, now that no points are held for them.
        next_attempt_at=now if any(code.order_id is None for code in redemption.codes) else None,
    )
    # Before the commit: a retry after a rollback counts twice, which does not matter for a rate.
    REDEMPTIONS_ENDED.labels(state.value).inc()
    return replace(redemption, state=state, dust_captured=target, order_id=OrderId(order.id))


def _free_codes(
    connection: Connection,
    account: Account,
    redemption: Redemption,
    order: Order,
    spent: Mapping[str, int],
    now: datetime,
) -> Redemption:
    """Give back what a deleted order had used, and let another order use its codes.

    Medusa takes back the use of the promotion when it deletes the order, and the code is still in the cart: the shopper
    completes it with another card. So the points are held again, if the customer still has them. If not, or if another
    order has used the redemption's other codes, the promotions of the codes are removed.
    """
    own = [code for code in redemption.codes if code.order_id == order.id]
    others = [code.order_id for code in redemption.codes if code.order_id not in {None, order.id}]
    booked = sum(code.dust_captured for code in own)
    if booked:
        account.refund(booked, spent, _memo(Kind.REFUND, redemption, order, "Dust of a deleted order"), now=now)
    for code in own:
        store_code_use(connection, code.code, order_id=None, dust_captured=0)
    captured = redemption.dust_captured - booked
    changes: dict[str, object] = {"dust_captured": captured, "order_id": others[0] if others else None}
    if redemption.state is State.CAPTURED and not others:
        reason = f"Order {order.id}, which had used the code, was deleted."
        held = _hold_again(account, redemption, order, now)
        changes |= {"state": (State.ACTIVE if held else State.RELEASED).value, "reason": reason, "attempts": 0}
        changes |= {"next_attempt_at": None if held and not redemption.release_requested_at else now}
    else:
        changes |= {"next_attempt_at": now}
    update_redemption(connection, redemption.id, now=now, **changes)
    return lock_redemption(connection, redemption.id)


def _hold_again(account: Account, redemption: Redemption, order: Order, now: datetime) -> bool:
    """Hold the redemption's points again; False if the customer no longer has them, or the account was merged."""
    if account.survivor is not None:
        return False
    try:
        account.hold(redemption.dust, _memo(Kind.HOLD, redemption, order, "Dust set aside again"), now=now)
    except InsufficientDust:
        return False
    return True


def _memo(kind: Kind, redemption: Redemption, order: Order, description: str) -> PostingDetails:
    return PostingDetails(
        kind=kind,
        reference_type="redemption",
        reference_id=redemption.id,
        description=f"{description} ({order.id})",
        event_at=order.updated_at if kind is Kind.REFUND else order.placed_at,
        programme_version=redemption.programme_version,
    )
