"""Settlement, second step: compute what the ledger should hold for each order. Pure: no database, no clock.

One pass over the orders, in sequence, because what an order earns depends on those before it: the tier that they gave,
and what limits across several orders left over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property

from bridge.ids import CustomerId, OrderId
from bridge.programme.earning import Earning, EarnWhen, earning
from bridge.programme.limits import Allowed, EarningRequest
from bridge.settlement.earning_limits import LimitedOrder, LimitsOfBatch
from bridge.settlement.escrow import why_nobody_earns
from bridge.settlement.lines import earning_lines, kept_shipping, money_spent
from bridge.settlement.load import Loaded, LoadedOrder
from bridge.settlement.referrals import DueReferral, PaidOrder, due_referrals
from bridge.settlement.shares import Shares
from bridge.settlement.tables import EscrowState
from bridge.settlement.tier_history import TiersOfBatch


@dataclass(frozen=True, kw_only=True)
class OrderPlan:
    """What the ledger should hold for one order. Amounts are in points.

    An order earns 1000 (`earned`), of which its former owner keeps 600: 400 are `left` for its owner. A limit across
    orders allows 300 (`allowed`), so 300 is the `target`.
    """

    loaded: LoadedOrder
    earning_due: bool
    """Whether the event required by `earn.when` has happened."""
    paid: bool
    tier: Mapping[str, str] | None
    """Its customer's tier, as `name` and `factor`, at its first settlement."""
    earned: Earning
    """What the whole order earns by itself."""
    money: Decimal
    """The money spent on it, as tiers count it."""
    allowed: Allowed
    """The part of `earned` that limits across several orders allow."""
    shares: Shares
    """How its points are divided; `moved` is what a transfer is expected to move until it is posted."""

    @property
    def order_id(self) -> OrderId:
        return self.loaded.order.id

    @property
    def owner(self) -> CustomerId | None:
        return self.loaded.owner

    @cached_property
    def left(self) -> int:
        """What the order earns, less what its former owners keep."""
        return self.shares.left_for_owner(self.earned.dust)

    @property
    def target(self) -> int:
        """What the ledger should hold for the order's owner."""
        return min(self.allowed.dust, self.left) if self.owner else 0

    @property
    def worth_for_owner(self) -> int:
        """What it would earn for its owner without other orders; 0 while it is in escrow for a guest."""
        return self.left if self.owner else 0

    @property
    def escrowed(self) -> int:
        """What should be in escrow for a guest."""
        escrow = self.loaded.escrow
        return self.left if escrow and escrow.state is EscrowState.WAITING else 0

    @property
    def dust(self) -> int:
        """What the order earns: for its owner, or for a guest in escrow."""
        return self.target if self.owner else self.escrowed

    @property
    def stays_due(self) -> bool:
        """The value of `earning_due` for later facts.

        An order that costs nothing counts as paid. If an edit raises its total, it has to be paid again.
        """
        order, rules = self.loaded.order, self.loaded.version.programme.earn
        return self.earning_due and not order.is_draft and not (rules.when is EarnWhen.CAPTURED and order.free)

    @property
    def awaits_payment(self) -> bool:
        """Whether a payment would change something, so that the poll has to check for it."""
        order, programme = self.loaded.order, self.loaded.version.programme
        if order.canceled or order.is_draft:
            return False
        raised = programme.earn.when is EarnWhen.CAPTURED and not order.paid
        for_referral = programme.bonuses.referral.offered and not self.paid
        return order.has_unpaid_exchange or self.loaded.pending_until_paid or raised or for_referral


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """What settling a batch should change."""

    orders: tuple[OrderPlan, ...]
    limited: tuple[LimitedOrder, ...]
    """Other orders of the customers, which limits now give more or less."""
    referrals: tuple[DueReferral, ...]


def compute(loaded: Loaded, *, now: datetime) -> BatchPlan:
    """Return what the ledger should hold for these orders. `now` is when a referral qualifies.

    A later entry of an order replaces the earlier one.
    """
    tiers = TiersOfBatch(loaded.tiers) if loaded.tiers else None
    limits = LimitsOfBatch(loaded.limits) if loaded.limits else None
    plans: dict[OrderId, OrderPlan] = {}
    for loaded_order in loaded.orders:
        plan = _plan(loaded_order, plans.get(loaded_order.order.id), tiers, limits)
        if limits:
            limits.put(_earning_request(plan), plan.owner, plan.shares.kept_by_former_owners(plan.earned.dust))
        if tiers:
            counts_for = None if loaded_order.pending_until_paid else plan.shares.first_owner
            tiers.put(loaded_order.order, counts_for, dust=_points_for_tier(plan, limits), spent=plan.money)
        plans[loaded_order.order.id] = plan
    orders = tuple(_limited(plan, limits) for plan in plans.values())
    return BatchPlan(
        orders=orders,
        limited=tuple(limits.others_that_change()) if limits else (),
        referrals=tuple(due_referrals(loaded.referrals, _paid_orders(orders), now=now)),
    )


def _plan(
    loaded: LoadedOrder, earlier: OrderPlan | None, tiers: TiersOfBatch | None, limits: LimitsOfBatch | None
) -> OrderPlan:
    """Compute one order by itself; `earlier` is what older facts of the same batch gave."""
    order = loaded.order
    earning_due = _is_due(loaded, earlier)
    tier = _tier(loaded, earlier, tiers, limits)
    earned = _earned(loaded, tier, earning_due=earning_due)
    counts = loaded.owner is not None and earning_due and not (order.canceled or order.is_draft)
    return OrderPlan(
        loaded=loaded,
        earning_due=earning_due,
        paid=_is_paid(loaded, earlier),
        tier=tier,
        earned=earned,
        money=_money_spent(loaded) if counts else Decimal(0),
        allowed=Allowed(dust=earned.dust, why=earned.why),
        shares=loaded.shares,
    )


def _is_due(loaded: LoadedOrder, earlier: OrderPlan | None) -> bool:
    """Whether the event required by `earn.when` has happened, in these facts or in older ones."""
    before = earlier.stays_due if earlier else loaded.row.earning_due
    when = loaded.version.programme.earn.when
    if before and loaded.from_medusa:
        # Earlier facts may have been forged, so Medusa's answer decides. A completed order stays completed, so the
        # answer says whether it is. A paid order is no longer paid once an edit raises its total, so an earlier payment
        # still counts if its money can be true.
        before = when is EarnWhen.CAPTURED and _money_is_plausible(loaded)
    match when:
        case EarnWhen.PLACED:
            return True
        case EarnWhen.CAPTURED:
            return loaded.order.paid or before
        case EarnWhen.COMPLETED:
            return loaded.order.completed or before


def _is_paid(loaded: LoadedOrder, earlier: OrderPlan | None) -> bool:
    """Whether the order is or was paid. A later edit that raises its total does not affect a referral's bonus."""
    if earlier:
        before, money = earlier.paid, earlier.loaded.order.money_moved
    else:
        before, money = loaded.row.paid, loaded.row.facts_money
    was_paid = money > 0 or loaded.order.paid_with_credit > 0
    before = before and was_paid and (_money_is_plausible(loaded) or not loaded.from_medusa)
    return not loaded.order.canceled and (loaded.order.paid or before)


def _money_is_plausible(loaded: LoadedOrder) -> bool:
    """Whether the money in the earlier facts can be true: the sum of money moved only grows."""
    order = loaded.order
    return order.money_moved + order.paid_with_credit > 0 and order.money_moved >= loaded.row.facts_money


def _tier(
    loaded: LoadedOrder, earlier: OrderPlan | None, tiers: TiersOfBatch | None, limits: LimitsOfBatch | None
) -> Mapping[str, str] | None:
    """Return the customer's tier at the order's first settlement. Limits are applied before orders count for it."""
    if not loaded.row.is_new:
        return loaded.row.tier
    if earlier is not None and not earlier.loaded.order.is_draft:
        return earlier.tier
    if tiers is None or loaded.owner is None:
        return None
    allowed = limits.allowed_by_order(loaded.owner) if limits else {}
    dust = {order_id: result.dust for order_id, result in allowed.items()}
    level = tiers.level_of(loaded.version.number, loaded.owner, loaded.order.placed_at, dust)
    return {"name": level.name, "factor": f"{level.factor:f}"} if level else None


def _points_for_tier(plan: OrderPlan, limits: LimitsOfBatch | None) -> int:
    """Return the points of the order that count towards its first owner's tier, as `read_tiers` will count them.

    `level_of` applies limits to the customer's own orders. An order that went to another account counts with what all
    owners have.
    """
    shares = plan.shares
    if shares.first_owner == plan.owner:
        return plan.target
    kept = shares.kept_by_former_owners(plan.earned.dust)
    return _limited(plan, limits).target + sum(kept.values())


def _earned(loaded: LoadedOrder, tier: Mapping[str, str] | None, *, earning_due: bool) -> Earning:
    order, rules = loaded.order, loaded.version.programme.earn
    if why := _why_nothing(loaded, earning_due=earning_due):
        return Earning(dust=0, lines={}, why=why)
    shipping_net, shipping_gross = kept_shipping(order, rules)
    earned = earning(
        rules,
        currency_code=order.currency_code,
        lines=earning_lines(order, rules, loaded.terms, loaded.redemptions, loaded.known_lines),
        shipping_net=shipping_net,
        shipping_gross=shipping_gross,
        dust_only=loaded.dust_only_lines,
        factor=(Decimal(tier["factor"]) if tier else Decimal(1)) * _share_that_counts(loaded),
    )
    if why := why_nobody_earns(order, loaded.escrow):
        # What former owners have of it stays theirs.
        kept = sum(share.net for share in loaded.shares.of_former_owners)
        return Earning(dust=min(earned.dust, kept), lines={}, why=why)
    return earned


def _why_nothing(loaded: LoadedOrder, *, earning_due: bool) -> str | None:
    """Return why the order as a whole earns nothing; None if its lines decide."""
    order = loaded.order
    if order.is_draft:
        return "A draft: it earns once it is an order."
    if order.gone:
        return "Medusa no longer has the order: it was deleted, unpaid as a rule."
    if order.canceled:
        return "The order is canceled."
    if not earning_due:
        event = "completed" if loaded.version.programme.earn.when is EarnWhen.COMPLETED else "paid"
        return f"The order earns points once it is {event}."
    return None


def _share_that_counts(loaded: LoadedOrder) -> Decimal:
    """Return the share of an order that is paid, after an edit has raised its total.

    It is 1 if the rules do not wait for payment, or if the facts have no amounts paid.
    """
    order, rules = loaded.order, loaded.version.programme.earn
    if rules.when is not EarnWhen.CAPTURED:
        return Decimal(1)
    share = order.paid_share if rules.basis.include_credit else order.paid_share_without_credit
    knows_amounts = order.money_moved or order.paid_with_credit
    return share if share or knows_amounts else Decimal(1)


def _money_spent(loaded: LoadedOrder) -> Decimal:
    return money_spent(loaded.order, loaded.version.programme.earn, loaded.dust_only_lines) * _share_that_counts(loaded)


def _earning_request(plan: OrderPlan) -> EarningRequest:
    programme = plan.loaded.version.programme
    return EarningRequest(
        order_id=plan.order_id,
        placed_at=plan.loaded.order.placed_at,
        worth=plan.worth_for_owner,
        limits=programme.earn.limits,
        time_zone=programme.time_zone,
    )


def _limited(plan: OrderPlan, limits: LimitsOfBatch | None) -> OrderPlan:
    """Apply limits across several orders, now that all orders of the batch are known."""
    if limits is None or plan.owner is None:
        return plan
    allowed = limits.allowed_by_order(plan.owner)[plan.order_id]
    return replace(plan, allowed=allowed) if allowed.dust < plan.worth_for_owner else plan


def _paid_orders(plans: Sequence[OrderPlan]) -> list[PaidOrder]:
    return [
        PaidOrder(
            order_id=plan.order_id,
            customer_id=plan.shares.first_owner,
            placed_at=plan.loaded.order.placed_at,
            worth=plan.earned.dust,
            version=plan.loaded.version,
        )
        for plan in plans
        # No account has ever owned some orders, although their row may name a customer.
        if plan.paid and plan.shares.first_owner
    ]
