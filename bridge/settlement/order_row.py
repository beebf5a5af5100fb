"""What an order's row in `order_settlement` stores of a settlement."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from bridge.counted import counted
from bridge.medusa.currencies import amount_to_pay
from bridge.programme.days import local_date
from bridge.programme.earning import SHIPPING
from bridge.redemptions.capture import first_uses
from bridge.settlement.compute import OrderPlan
from bridge.settlement.earning_limits import LimitedOrder
from bridge.settlement.facts import next_check
from bridge.settlement.lines import lines_to_store
from bridge.settlement.repository import PENDING_UNTIL_PAID
from bridge.settlement.shares import Share
from bridge.settlement.stored_lines import StoredLine
from bridge.settlement.tables import EscrowState


def order_row(plan: OrderPlan, *, quiet: Collection[str], now: datetime) -> dict[str, Any]:
    """Return the row of an order that was settled."""
    loaded, shares = plan.loaded, plan.shares
    order, row = loaded.order, loaded.row
    customer_id = plan.owner or order.customer_id
    return {
        "order_id": order.id,
        "customer_id": customer_id,
        "buyer_id": order.customer_id if customer_id != order.customer_id else None,
        # Stays true: the guest's escrow, and whether it has expired, counts for the account as well.
        "guest": order.is_guest or row.guest,
        "facts_version": order.version,
        "facts_updated_at": order.updated_at,
        "facts_money": row.facts_money if order.gone else order.money_moved,
        "facts_canceled": order.canceled,
        "gone": order.gone,
        "revision": row.revision + 1,
        "check_at": next_check(order, asked=loaded.from_medusa, quiet=order.id in quiet, now=now),
        "missing_since": None,
        # The rules in force when the order is placed, not when its draft was started.
        "programme_version": None if order.is_draft else loaded.version.number,
        "earning_due": plan.stays_due,
        "booked": shares.own.booked,
        "not_taken": shares.own.not_taken,
        "expired": shares.own.expired,
        "taken_back": shares.own.taken_back,
        "worth": plan.earned.dust if plan.owner else _worth_without_owner(plan),
        "former_share": shares.former_share,
        "spent": plan.money,
        "currency_code": order.currency_code,
        "paid": plan.paid,
        # Like the rules, the tier is fixed when the order is placed.
        "tier": None if order.is_draft else plan.tier,
        "escrowed": plan.escrowed,
        "lines": {line_id: line.to_json() for line_id, line in _lines(plan).items()},
        "shipping_points": plan.earned.lines.get(SHIPPING),
        "unpaid_dust_only": _has_unpaid_dust_only(plan),
        "awaits_payment": plan.awaits_payment,
        "pending_until_paid": loaded.pending_until_paid,
        "note": order_note(plan),
        "worth_note": plan.earned.why,
        # A deleted order, and a snapshot of an older sender, have none.
        "order_number": order.number or row.order_number,
        "placed_at": order.placed_at,
        "updated_at": now,
    }


def limited_row(order: LimitedOrder, share: Share, now: datetime) -> dict[str, Any]:
    """Return what changes in the row of an order that a limit gives another number of points."""
    return {
        "order_id": order.row.order_id,
        "booked": share.booked,
        "not_taken": share.not_taken,
        "expired": share.expired,
        "taken_back": share.taken_back,
        "note": order.row.note_for(order.allowed),
        "updated_at": now,
    }


def _worth_without_owner(plan: OrderPlan) -> int:
    """Return what former owners keep of a guest's order, with what is in escrow; 0 without former owners."""
    kept = plan.shares.former_share
    return 0 if kept is None else min(plan.earned.dust, kept + plan.escrowed)


def order_note(plan: OrderPlan) -> str | None:
    """Return why the order earns nothing, less than it is worth, or not yet; None if there is nothing to say."""
    if plan.allowed.why:
        return plan.allowed.why
    escrow = plan.loaded.escrow
    if escrow and escrow.state is EscrowState.WAITING:
        end = local_date(escrow.expires_at, plan.loaded.version.programme.time_zone)
        return f"A guest's order: {counted(plan.escrowed, 'point')} can be claimed until {end:%d %b %Y}."
    return PENDING_UNTIL_PAID if plan.loaded.pending_until_paid and plan.target else None


def _lines(plan: OrderPlan) -> Mapping[str, StoredLine]:
    loaded = plan.loaded
    if loaded.order.gone:
        # If the order comes back, the same terms apply.
        return loaded.known_lines
    uses = first_uses(loaded.order, loaded.redemptions)
    return lines_to_store(
        loaded.order,
        loaded.known_lines,
        loaded.terms,
        loaded.dust_only_lines,
        plan.earned.lines,
        uses,
        final=loaded.decides_terms,
    )


def _has_unpaid_dust_only(plan: OrderPlan) -> bool:
    """Whether money or another discount paid for a points-only product.

    A merchant can do this on purpose with a draft order, an edit or an exchange, so it is only reported. The
    storefront's checkout refuses such a cart.
    """
    order, redemptions = plan.loaded.order, plan.loaded.redemptions
    codes = {code.code for redemption in redemptions for code in redemption.codes if code.product_id}
    return not (order.canceled or order.is_draft) and any(
        amount_to_pay(line.gross, order.currency_code) > 0 or codes.isdisjoint(use.code for use in line.code_uses)
        for line in order.lines
        if line.id in plan.loaded.dust_only_lines and not line.all_came_back
    )
