"""Booking what an order used of a redemption: settle to a target, like everything else.

The order as it now is says how much of each code it uses; the difference to what is captured already is captured from
the hold, spent on top, or given back to the lots it came from.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

import structlog
from sqlalchemy import Connection

from bridge.ids import OrderId
from bridge.ledger.account import Account, Kind, Memo
from bridge.ledger.book import reserved_lots
from bridge.medusa.orders import Order
from bridge.metrics import REDEMPTIONS_ENDED
from bridge.programme.worth import dust_for_value
from bridge.redemptions.promises import Code, Redemption, update_redemption
from bridge.redemptions.tables import State

log = structlog.get_logger(__name__)


def used_dust(redemption: Redemption, order: Order) -> int:
    """How much of the redemption's dust the order uses as it now is; 0 once it is canceled."""
    if order.canceled:
        return 0
    return min(redemption.dust, sum(_used_of(code, order) for code in redemption.codes))


def _used_of(code: Code, order: Order) -> int:
    uses = order.uses_of(code.code)
    if code.product_id is None or code.quantity is None:
        amount = sum((use.amount for use in uses), Decimal(0))
        if not code.value or amount <= 0:
            return 0
        return min(code.dust, dust_for_value(code.dust / code.value, amount))
    units = sum((use.units for use in uses), Decimal(0)).to_integral_value(ROUND_HALF_UP)
    return min(code.dust, int(units) * (code.dust // code.quantity))


def is_used_by(redemption: Redemption, order: Order) -> bool:
    """Whether the order carries one of the codes with an effect, or did when it was last looked at."""
    if redemption.order_id is not None:
        return redemption.order_id == order.id
    return any(order.uses_of(code.code) for code in redemption.codes)


def book_use(
    connection: Connection,
    account: Account,
    redemption: Redemption,
    order: Order,
    *,
    spent: Mapping[str, int],
    now: datetime,
) -> Redemption:
    """Bring the ledger to what `order` uses of `redemption`; `account` and the redemption's row are locked.

    `spent` is what its captured dust came from, by lot.
    """
    target = used_dust(redemption, order)
    if redemption.open:
        return _capture(connection, account, redemption, order, target, now)
    difference = target - redemption.dust_captured
    if difference > 0:
        account.spend_anyway(difference, _memo(Kind.REDEEM, redemption, order, "Dust spent on an order"), now=now)
    elif difference < 0:
        account.give_back(
            -difference, spent, _memo(Kind.REFUND, redemption, order, "Dust of an order given back"), now=now
        )
    else:
        return redemption
    changes: dict[str, object] = {"dust_captured": target}
    if redemption.state is not State.CAPTURED:
        # The code was withdrawn and an order has it all the same: Medusa completed it in between, or somebody put
        # the promotion back. What the shopper used is booked; an operator should know.
        log.error("used_after_release", redemption_id=redemption.id, order_id=order.id, dust=difference)
        reason = f"Order {order.id} used the code although it had been withdrawn; the dust was booked all the same."
        changes |= {"state": State.CAPTURED.value, "order_id": order.id, "reason": reason}
    update_redemption(connection, redemption.id, now=now, **changes)
    return replace(redemption, dust_captured=target)


def _capture(
    connection: Connection, account: Account, redemption: Redemption, order: Order, target: int, now: datetime
) -> Redemption:
    reserved = reserved_lots(connection, redemption.customer_id, redemption.id)
    if target:
        account.capture(target, reserved, _memo(Kind.REDEEM, redemption, order, "Dust spent on an order"), now=now)
        for move in account.postings[-1].moves:
            reserved[move.lot_id] = reserved.get(move.lot_id, 0) + move.held
    rest = {lot_id: amount for lot_id, amount in reserved.items() if amount}
    if rest:
        account.release(rest, _memo(Kind.RELEASE, redemption, order, "Dust not needed by the order"), now=now)
    state = State.CAPTURED if target else State.RELEASED
    reason = None if target else f"Order {order.id}, which used the code, was canceled."
    update_redemption(
        connection,
        redemption.id,
        now=now,
        state=state.value,
        dust_captured=target,
        order_id=order.id,
        reason=reason,
        next_attempt_at=None,
    )
    # Before the commit: one that is rolled back and done again counts twice, which no rate will notice.
    REDEMPTIONS_ENDED.labels(state.value).inc()
    return replace(redemption, state=state, dust_captured=target, order_id=OrderId(order.id))


def _memo(kind: Kind, redemption: Redemption, order: Order, description: str) -> Memo:
    return Memo(
        kind=kind,
        reference_type="redemption",
        reference_id=redemption.id,
        description=f"{description} ({order.id})",
        event_at=order.updated_at if kind is Kind.REFUND else order.placed_at,
        programme_version=redemption.programme_version,
    )
