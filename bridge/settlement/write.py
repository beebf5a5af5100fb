"""Settlement, third step: post the difference between the plan and the ledger, and store what was settled.

Locks the accounts, by id, after everything that `load` has locked.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from bridge.ids import CustomerId, OrderId
from bridge.ledger.account import Account
from bridge.ledger.postings import Posting
from bridge.ledger.store import open_accounts, save, spent_lots, taken_lots
from bridge.medusa.currencies import amount_to_pay
from bridge.observability.tracing import span
from bridge.programme.earning import SHIPPING
from bridge.redemptions.capture import book_use, first_uses, product_codes, report_second_use
from bridge.redemptions.tables import RedemptionState
from bridge.settlement.booking import Booking
from bridge.settlement.compute import OrderPlan, Plan
from bridge.settlement.earning_limits import OVER_THE_LIMIT, LimitedOrder
from bridge.settlement.escrow import settle_escrows
from bridge.settlement.expired_points import ExpiredPool, read_pools
from bridge.settlement.facts import next_check
from bridge.settlement.kept_forecasts import compare_forecasts
from bridge.settlement.lines import line_notes, read_first_uses
from bridge.settlement.load import Loaded
from bridge.settlement.referrals import post_referral
from bridge.settlement.repository import add_rows, change_rows
from bridge.settlement.shares import Share, Shares, former_net, write_former_owners
from bridge.settlement.tables import EscrowState


@dataclass(frozen=True, kw_only=True)
class _Accounts:
    """The locked accounts, and what the ledger knows about the orders' points."""

    by_customer: Mapping[CustomerId, Account]
    pools: Mapping[CustomerId, ExpiredPool]
    spent: Mapping[str, dict[str, int]]
    """By captured redemption: the points used, by lot. Orders of a batch that use the same redemption change it."""
    taken: Mapping[OrderId, Mapping[CustomerId, Mapping[str, int]]]
    """What reversals of an order took from each customer's lots."""

    def of(self, share: Share) -> Account:
        if share.customer_id is None:
            raise AssertionError("a share without a customer")
        return self.by_customer[share.customer_id]

    def note(self, order_id: OrderId, share: Share) -> None:
        """Store the customer's share in their pool of expired points."""
        if share.customer_id and (pool := self.pools.get(share.customer_id)):
            pool.note(order_id, share)


def add_new_rows(connection: Connection, plan: Plan, *, quiet: Collection[str], now: datetime) -> bool:
    """Add the final rows of orders that had none; return False if one of them has got a row meanwhile.

    Writing a row once, instead of a placeholder first and the result later, halves the work on this table. The result
    is known before any account is opened: nothing was booked before, so the whole target is booked.

    Concurrent inserts of the same order wait for each other here. New orders are locked after all known ones and before
    all accounts, by id, so there is no deadlock.
    """
    new = sorted((order for order in plan.orders if not order.loaded.row.stored), key=lambda order: order.order_id)
    return add_rows(connection, [_row(order, quiet=quiet, now=now) | {"booked": order.target} for order in new])


@dataclass(frozen=True, kw_only=True)
class Written:
    """The plans with their final shares, and what was posted for them."""

    orders: tuple[OrderPlan, ...]
    postings: tuple[Posting, ...]


def write(connection: Connection, loaded: Loaded, plan: Plan, *, quiet: Collection[str], now: datetime) -> Written:
    """Post the differences and store the results."""
    for redemption, order in loaded.second_uses:
        report_second_use(connection, redemption, order)
    accounts = _open_accounts(connection, plan, now)
    with span("settlement.settle", orders=len(plan.orders), customers=len(accounts.by_customer)):
        settled = [
            _post_order(connection, order, accounts, now)
            for order in sorted(plan.orders, key=lambda order: order.order_id)
        ]
        limited = [_post_limited(order, accounts, now) for order in plan.limited]
        for due in plan.referrals:
            post_referral(connection, due, accounts.by_customer, now)
        compare_forecasts(connection, settled, now=now)
        postings = tuple(posting for account in accounts.by_customer.values() for posting in account.postings)
        save(connection, accounts.by_customer.values(), quiet=quiet)
        guests = [
            (order.loaded.order, order.loaded.known_escrow, order.loaded.escrow, order.escrowed)
            for order in settled
            if order.loaded.escrow
        ]
        settle_escrows(connection, guests, now=now)
        change_rows(connection, [_row(order, quiet=quiet, now=now) for order in settled if order.loaded.row.stored])
        change_rows(
            connection, [_limited_row(order, share, now) for order, share in zip(plan.limited, limited, strict=True)]
        )
        write_former_owners(
            connection,
            {
                order.order_id: order.shares.of_former_owners
                for order in settled
                if order.shares.of_former_owners != order.loaded.former_owners
            },
        )
    return Written(orders=tuple(settled), postings=postings)


def write_limited(connection: Connection, orders: Collection[LimitedOrder], *, now: datetime) -> None:
    """Bring these orders to what limits allow them now. Their rows are locked."""
    if orders:
        accounts = _open_accounts(connection, Plan(orders=(), limited=tuple(orders), referrals=()), now)
        rows = [_limited_row(order, _post_limited(order, accounts, now), now) for order in orders]
        save(connection, accounts.by_customer.values())
        change_rows(connection, rows)


def _open_accounts(connection: Connection, plan: Plan, now: datetime) -> _Accounts:
    """Lock all accounts concerned. Accounts that only earn are opened without lots, which is enough for most orders."""
    earning_only: set[CustomerId] = set()
    with_lots = {order.row.customer_id for order in plan.limited if order.row.customer_id}
    with_lots |= {customer_id for due in plan.referrals for customer_id in due.customers}
    spent: dict[str, dict[str, int]] = {}
    for order in plan.orders:
        (earning_only if _only_earns(order) else with_lots).update(_customers(order))
        for redemption in order.loaded.redemptions:
            if redemption.id not in spent:
                captured = redemption.state is RedemptionState.CAPTURED
                spent[redemption.id] = spent_lots(connection, redemption.customer_id, redemption.id) if captured else {}
    if not with_lots:
        return _Accounts(
            by_customer=open_accounts(connection, earning_only, lots=False), pools={}, spent=spent, taken={}
        )
    taken = _taken(connection, plan)
    extra_lots = {lot for lots in spent.values() for lot in lots}
    extra_lots |= {lot for by_customer in taken.values() for lots in by_customer.values() for lot in lots}
    sources: list[str] = [order.order_id for order in plan.orders if not _only_earns(order)]
    sources += [order.row.order_id for order in plan.limited]
    sources += [due.referral.id for due in plan.referrals]
    accounts = open_accounts(connection, earning_only | with_lots, extra_lots=extra_lots, expired_of=sources)
    return _Accounts(by_customer=accounts, pools=read_pools(connection, accounts, now=now), spent=spent, taken=taken)


def _only_earns(order: OrderPlan) -> bool:
    shares, loaded = order.shares, order.loaded
    changes = shares.giver or shares.former or loaded.redemptions
    grows_again = shares.own.taken_back or shares.own.left_with_customer
    return order.target >= shares.own.net and not (loaded.payment_arrived or changes or grows_again)


def _customers(order: OrderPlan) -> set[CustomerId]:
    """Return the customers whose accounts the order may change."""
    shares = order.shares
    customers = {order.owner} if order.target or shares.giver else set()
    customers |= {shares.own.customer_id} if shares.own.booked > 0 else set()
    customers |= {share.customer_id for share in (shares.giver, *shares.former) if share}
    customers |= {redemption.customer_id for redemption in order.loaded.redemptions}
    return {customer_id for customer_id in customers if customer_id}


def _taken(connection: Connection, plan: Plan) -> dict[OrderId, dict[CustomerId, dict[str, int]]]:
    """Return what reversals took from orders that may be worth more again."""
    shares = [
        (order.order_id, share)
        for order in plan.orders
        for share in (order.shares.own, *order.shares.former)
        if share.taken_back
    ]
    shares += [(order.row.order_id, order.row.share) for order in plan.limited if order.row.taken_back]
    customers = {share.customer_id for _, share in shares if share.customer_id}
    return taken_lots(connection, customers, {order_id for order_id, _ in shares})


def _post_order(connection: Connection, order: OrderPlan, accounts: _Accounts, now: datetime) -> OrderPlan:
    loaded = order.loaded
    booking = Booking(
        order_id=order.order_id,
        placed_at=loaded.order.placed_at,
        changed_at=loaded.order.updated_at,
        version=loaded.version,
        pending_until_paid=loaded.pending_until_paid,
        now=now,
        taken=accounts.taken.get(order.order_id, {}),
        pools=accounts.pools,
    )
    settled = _post_shares(order, booking, accounts)
    for share in (settled.shares.own, *settled.shares.former):
        accounts.note(order.order_id, share)
    by_unit = product_codes(loaded.redemptions)
    for redemption in loaded.redemptions:
        book_use(
            connection,
            accounts.by_customer[redemption.customer_id],
            redemption,
            loaded.order,
            product_codes=by_unit,
            first=read_first_uses(loaded.known_lines),
            spent=accounts.spent[redemption.id],
            now=now,
        )
    return settled


def _post_shares(order: OrderPlan, booking: Booking, accounts: _Accounts) -> OrderPlan:
    """Bring the shares of the owner and of former owners to their targets, a transfer first."""
    shares, owner = order.shares, order.owner
    account = accounts.by_customer.get(owner) if owner else None
    if shares.giver is not None:
        shares = shares.transferred(booking.transfer(shares.giver, accounts.of(shares.giver), account))
    if account and order.loaded.payment_arrived:
        booking.mark_paid(account)
    # Before former owners get or lose anything: they are part of what is left for the owner. A transfer may have moved
    # fewer points than `compute` expected.
    target = replace(order, shares=shares).target
    shares = _post_former_shares(shares, order, booking, accounts)
    own = shares.own
    if owner and target != own.net:
        own = _bring_to(target, own, shares, order, booking, accounts)
    return replace(order, shares=replace(shares, own=own, worth_before=order.earned.dust))


def _post_former_shares(shares: Shares, order: OrderPlan, booking: Booking, accounts: _Accounts) -> Shares:
    """Bring what former owners have together to its target. They give back by customer id, and get back in reverse."""
    target = former_net(shares.former, order.earned.dust, shares.worth_before)
    missing = target - sum(share.net for share in shares.former)
    for share in shares.former if missing < 0 else reversed(shares.former):
        change = max(missing, -share.net) if missing < 0 else min(missing, share.can_regrow)
        if change:
            shares = shares.with_former(_bring_to(share.net + change, share, shares, order, booking, accounts))
            missing -= change
    return shares


def _bring_to(
    target: int, share: Share, shares: Shares, order: OrderPlan, booking: Booking, accounts: _Accounts
) -> Share:
    account = accounts.of(share)
    # Accounts merged into one share its lots: expired points count for only one share of the order.
    counted = sum(
        other.expired
        for other in (shares.own, *shares.former)
        if other.customer_id != share.customer_id
        and other.expired
        and _surviving_account(accounts.of(other)) is _surviving_account(account)
    )
    return booking.bring_to(target, share, account, _reversal_reason(order), counted_by_others=counted)


def _surviving_account(account: Account) -> Account:
    return account.survivor or account


def _reversal_reason(order: OrderPlan) -> str:
    if order.loaded.order.gone:
        return "Order deleted"
    if order.loaded.order.canceled:
        return "Order canceled"
    return OVER_THE_LIMIT if order.allowed.dust < order.earned.dust else "Order returned or changed"


def _post_limited(order: LimitedOrder, accounts: _Accounts, now: datetime) -> Share:
    """Bring another order of the customer to what limits allow it now."""
    row = order.row
    if row.placed_at is None:
        raise AssertionError("a settled order without a time")
    booking = Booking(
        order_id=row.order_id,
        placed_at=row.placed_at,
        changed_at=now,
        version=order.version,
        pending_until_paid=row.pending_until_paid,
        now=now,
        taken=accounts.taken.get(row.order_id, {}),
        pools=accounts.pools,
    )
    share = booking.bring_to(order.allowed.dust, row.share, accounts.of(row.share), OVER_THE_LIMIT)
    accounts.note(row.order_id, share)
    return share


def _limited_row(order: LimitedOrder, share: Share, now: datetime) -> dict[str, Any]:
    return {
        "order_id": order.row.order_id,
        "booked": share.booked,
        "waived": share.waived,
        "expired": share.expired,
        "taken_back": share.taken_back,
        "note": order.allowed.why,
        "updated_at": now,
    }


def _row(settled: OrderPlan, *, quiet: Collection[str], now: datetime) -> dict[str, Any]:
    """Return the order's row in `order_settlement`."""
    loaded, shares = settled.loaded, settled.shares
    order, row = loaded.order, loaded.row
    customer_id = settled.owner or order.customer_id
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
        "earning_due": settled.stays_due,
        "booked": shares.own.booked,
        "waived": shares.own.waived,
        "expired": shares.own.expired,
        "taken_back": shares.own.taken_back,
        "worth": settled.earned.dust if settled.owner else _worth_without_owner(settled),
        "former_share": shares.former_share,
        "spent": settled.money,
        "currency_code": order.currency_code,
        "paid": settled.paid,
        # Like the rules, the tier is fixed when the order is placed.
        "tier": None if order.is_draft else settled.tier,
        "escrowed": settled.escrowed,
        "lines": _lines(settled),
        "shipping_share": settled.earned.lines.get(SHIPPING),
        "unpaid_dust_only": _has_unpaid_dust_only(settled),
        "awaits_payment": settled.awaits_payment,
        "pending_until_paid": loaded.pending_until_paid,
        "note": order_note(settled),
        # A deleted order, and a snapshot of an older sender, have none.
        "order_number": order.number or row.order_number,
        "placed_at": order.placed_at,
        "updated_at": now,
    }


def _worth_without_owner(settled: OrderPlan) -> int:
    """Return what former owners keep of a guest's order, with what is in escrow; 0 without former owners."""
    kept = settled.shares.former_share
    return 0 if kept is None else min(settled.earned.dust, kept + settled.escrowed)


def order_note(settled: OrderPlan) -> str | None:
    """Return why the order earns nothing, less than it is worth, or not yet; None if there is nothing to say."""
    if settled.allowed.why:
        return settled.allowed.why
    escrow = settled.loaded.escrow
    if escrow and escrow.state is EscrowState.WAITING:
        return f"A guest's order: {settled.escrowed} points can be claimed until {escrow.expires_at:%d %b %Y}."
    return (
        "Its points are pending until the order is paid."
        if settled.loaded.pending_until_paid and settled.target
        else None
    )


def _lines(settled: OrderPlan) -> Mapping[str, Any]:
    loaded = settled.loaded
    if loaded.order.gone:
        # If the order comes back, the same terms apply.
        return loaded.known_lines
    uses = first_uses(loaded.order, loaded.redemptions, product_codes(loaded.redemptions))
    return line_notes(
        loaded.order,
        loaded.known_lines,
        loaded.terms,
        loaded.dust_only_lines,
        settled.earned.lines,
        uses,
        final=loaded.decides_terms,
    )


def _has_unpaid_dust_only(settled: OrderPlan) -> bool:
    """Whether money or another discount paid for a dust-only product.

    A merchant can do this on purpose with a draft order, an edit or an exchange, so it is only reported. The
    storefront's checkout refuses such a cart.
    """
    order, codes = settled.loaded.order, product_codes(settled.loaded.redemptions)
    return not (order.canceled or order.is_draft) and any(
        amount_to_pay(line.gross, order.currency_code) > 0 or codes.isdisjoint(use.code for use in line.code_uses)
        for line in order.lines
        if line.id in settled.loaded.dust_only_lines and line.stands
    )
