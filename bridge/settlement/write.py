"""Settlement, third step: post the difference between the plan and the ledger, and store what was settled.

Locks the accounts, by id, after everything that `load` has locked.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from bridge.ids import CustomerId, OrderId
from bridge.ledger.lots import LotDates
from bridge.ledger.postings import Kind, Posting
from bridge.ledger.store import save, spent_lots
from bridge.observability.tracing import span
from bridge.programme.dates import maturity_and_expiry
from bridge.programme.versions import Version, longest_limit_window
from bridge.redemptions.capture import book_use, report_second_use
from bridge.redemptions.tables import RedemptionState
from bridge.settlement.booking import Booking, OpenAccounts, open_for_booking
from bridge.settlement.compute import BatchPlan, OrderPlan
from bridge.settlement.earning_limits import (
    OVER_THE_LIMIT,
    LimitedOrder,
    LimitsOfBatch,
    OwnOrder,
    lock_persons,
    read_limit_history,
)
from bridge.settlement.escrow import settle_escrows
from bridge.settlement.kept_forecasts import compare_forecasts
from bridge.settlement.load import Loaded
from bridge.settlement.order_row import limited_row, order_row
from bridge.settlement.referrals import post_referral
from bridge.settlement.repository import add_rows, change_rows
from bridge.settlement.shares import Share, Shares, write_former_owners
from bridge.settlement.stored_lines import uses_by_code


@dataclass(frozen=True, kw_only=True)
class _Accounts(OpenAccounts):
    spent: Mapping[str, dict[str, int]]
    """By captured redemption: the points used, by lot. Orders of a batch that use the same redemption change it."""


def insert_first_rows(connection: Connection, batch: BatchPlan, *, quiet: Collection[str], now: datetime) -> bool:
    """Insert the final rows of orders that had none; return False if one of them has got a row meanwhile.

    Writing a row once, instead of a placeholder first and the result later, halves the work on this table. The result
    is known before `write` posts it: nothing was booked before, so the whole target will be.

    Concurrent inserts of the same order wait for each other here. New orders are locked after all known ones and before
    all accounts, by id, so there is no deadlock.
    """
    new = sorted((plan for plan in batch.orders if not plan.loaded.row.stored), key=lambda plan: plan.order_id)
    return add_rows(connection, [order_row(plan, quiet=quiet, now=now) | {"booked": plan.target} for plan in new])


@dataclass(frozen=True, kw_only=True)
class Written:
    """The plans with their final shares, and what was posted for them."""

    orders: tuple[OrderPlan, ...]
    postings: tuple[Posting, ...]


def write(
    connection: Connection, loaded: Loaded, batch: BatchPlan, *, quiet: Collection[str], now: datetime
) -> Written:
    """Post the differences and store the results."""
    for redemption, order in loaded.second_uses:
        report_second_use(connection, redemption, order)
    accounts = _open_accounts(connection, batch, now)
    with span("settlement.settle", orders=len(batch.orders), customers=len(accounts.by_customer)):
        # In the given sequence: under `within_balance`, what a cancel takes depends on what was spent before it.
        settled = [_post_order(connection, plan, accounts, now) for plan in batch.orders]
        limited = [_post_limited(order, accounts, now) for order in batch.limited]
        for due in batch.referrals:
            post_referral(connection, due, accounts, now)
        compare_forecasts(connection, settled, now=now)
        postings = tuple(posting for account in accounts.by_customer.values() for posting in account.postings)
        save(connection, accounts.by_customer.values(), quiet=quiet)
        guests = [
            (plan.loaded.order, plan.loaded.known_escrow, plan.loaded.escrow, plan.escrowed)
            for plan in settled
            if plan.loaded.escrow
        ]
        settle_escrows(connection, guests, now=now)
        change_rows(connection, [order_row(plan, quiet=quiet, now=now) for plan in settled if plan.loaded.row.stored])
        change_rows(
            connection, [limited_row(order, share, now) for order, share in zip(batch.limited, limited, strict=True)]
        )
        write_former_owners(
            connection,
            {
                plan.order_id: plan.shares.of_former_owners
                for plan in settled
                if plan.shares.of_former_owners != plan.loaded.former_owners
            },
        )
    return Written(orders=tuple(settled), postings=postings)


def write_limited(connection: Connection, orders: Collection[LimitedOrder], *, now: datetime) -> None:
    """Bring these orders to what limits allow them now. Their rows are locked."""
    if orders:
        accounts = _open_accounts(connection, BatchPlan(orders=(), limited=tuple(orders), referrals=()), now)
        rows = [limited_row(order, _post_limited(order, accounts, now), now) for order in orders]
        save(connection, accounts.by_customer.values())
        change_rows(connection, rows)


def settle_limits(connection: Connection, customers: Collection[CustomerId], *, since: datetime, now: datetime) -> None:
    """Bring the orders that these customers placed since then to what limits allow them now.

    After a merge was undone: until then the orders of both accounts counted together.
    """
    longest_days = longest_limit_window(connection)
    if longest_days is None:
        return
    lock_persons(connection, customers)
    from_then = [
        OwnOrder(order_id=OrderId(""), placed_at=since, customers=frozenset({customer_id})) for customer_id in customers
    ]
    history = read_limit_history(connection, from_then, longest_days=longest_days, lock=True)
    write_limited(connection, LimitsOfBatch(history).others_that_change(), now=now)


def _open_accounts(connection: Connection, batch: BatchPlan, now: datetime) -> _Accounts:
    earning_only: set[CustomerId] = set()
    with_lots = {order.row.customer_id for order in batch.limited if order.row.customer_id}
    with_lots |= {customer_id for due in batch.referrals for customer_id in due.customers}
    spent: dict[str, dict[str, int]] = {}
    sources: list[str] = [due.referral.id for due in batch.referrals]
    shares: list[tuple[str, Share]] = [share for due in batch.referrals for share in due.shares]
    for plan in batch.orders:
        if _only_earns(plan):
            earning_only |= _customers(plan)
        else:
            with_lots |= _customers(plan)
            sources.append(plan.order_id)
        shares += [(plan.order_id, share) for share in (plan.shares.own, *plan.shares.former)]
        for redemption in plan.loaded.redemptions:
            if redemption.id not in spent:
                captured = redemption.state is RedemptionState.CAPTURED
                spent[redemption.id] = spent_lots(connection, redemption.customer_id, redemption.id) if captured else {}
    sources += [order.row.order_id for order in batch.limited]
    shares += [(order.row.order_id, order.row.share) for order in batch.limited]
    opened = open_for_booking(
        connection,
        with_lots,
        earning_only=earning_only,
        sources=sources,
        shares=shares,
        extra_lots=(lot for lots in spent.values() for lot in lots),
        now=now,
    )
    return _Accounts(**vars(opened), spent=spent)


def _only_earns(plan: OrderPlan) -> bool:
    shares, loaded = plan.shares, plan.loaded
    changes = shares.giver or shares.former or loaded.redemptions
    grows_again = shares.own.taken_back or shares.own.left_with_customer
    return plan.target >= shares.own.net and not (loaded.payment_arrived or changes or grows_again)


def _customers(plan: OrderPlan) -> set[CustomerId]:
    """Return the customers whose accounts the order may change."""
    shares = plan.shares
    customers = {plan.owner} if plan.target or shares.giver else set()
    customers |= {shares.own.customer_id} if shares.own.booked > 0 else set()
    customers |= {share.customer_id for share in (shares.giver, *shares.former) if share}
    customers |= {redemption.customer_id for redemption in plan.loaded.redemptions}
    return {customer_id for customer_id in customers if customer_id}


def _post_order(connection: Connection, plan: OrderPlan, accounts: _Accounts, now: datetime) -> OrderPlan:
    loaded = plan.loaded
    booking = _booking(
        plan.order_id, loaded.order.placed_at, loaded.order.updated_at, loaded.version, accounts, now,
        pending_until_paid=loaded.pending_until_paid,
    )  # fmt: skip
    settled = _post_shares(plan, booking, accounts)
    for share in (settled.shares.own, *settled.shares.former):
        accounts.update_pool(plan.order_id, share)
    for redemption in loaded.redemptions:
        book_use(
            connection,
            accounts.by_customer[redemption.customer_id],
            redemption,
            loaded.order,
            first=uses_by_code(loaded.known_lines),
            spent=accounts.spent[redemption.id],
            now=now,
        )
    return settled


def _post_shares(plan: OrderPlan, booking: Booking, accounts: _Accounts) -> OrderPlan:
    """Bring the shares of the owner and of former owners to their targets, a transfer first."""
    shares, owner = plan.shares, plan.owner
    account = accounts.by_customer.get(owner) if owner else None
    if shares.giver is not None:
        shares = shares.transferred(booking.transfer(shares.giver, accounts.of(shares.giver), account))
        # It may have moved fewer points than `compute` expected.
        plan = replace(plan, shares=shares)
    if plan.loaded.payment_arrived:
        for share in (shares.own, *shares.former):
            # A former owner gets points back before the present owner, and those are pending too.
            if share.customer_id in accounts.by_customer:
                booking.mark_paid(accounts.of(share))
    # Before former owners get or lose anything: they are part of what is left for the owner.
    target = plan.target
    shares = _post_former_shares(shares, plan, booking)
    own = shares.own
    if owner and target != own.net:
        own = _bring_to(target, own, shares, plan, booking)
    return replace(plan, shares=replace(shares, own=own, worth_before=plan.earned.dust))


def _post_former_shares(shares: Shares, plan: OrderPlan, booking: Booking) -> Shares:
    """Bring what former owners have together to its target. They give back by customer id, and get back in reverse."""
    for share, change in shares.former_changes(plan.earned.dust):
        shares = shares.with_former(_bring_to(share.net + change, share, shares, plan, booking))
    return shares


def _bring_to(target: int, share: Share, shares: Shares, plan: OrderPlan, booking: Booking) -> Share:
    others = [other for other in (shares.own, *shares.former) if other.customer_id != share.customer_id]
    return booking.bring_to(target, share, _reversal_reason(plan), others=others)


def _reversal_reason(plan: OrderPlan) -> str:
    if plan.loaded.order.gone:
        return "Order deleted"
    if plan.loaded.order.canceled:
        return "Order canceled"
    return OVER_THE_LIMIT if plan.allowed.dust < plan.earned.dust else "Order returned or changed"


def _post_limited(order: LimitedOrder, accounts: _Accounts, now: datetime) -> Share:
    """Bring another order of the customer to what limits allow it now."""
    row = order.row
    if row.placed_at is None:
        raise AssertionError("a settled order without a time")
    booking = _booking(
        row.order_id, row.placed_at, now, order.version, accounts, now, pending_until_paid=row.pending_until_paid
    )
    share = booking.bring_to(order.allowed.dust, row.share, OVER_THE_LIMIT)
    accounts.update_pool(row.order_id, share)
    return share


def _booking(
    order_id: str,
    placed_at: datetime,
    changed_at: datetime,
    version: Version,
    accounts: OpenAccounts,
    now: datetime,
    *,
    pending_until_paid: bool,
) -> Booking:
    matures_at, expires_at = maturity_and_expiry(version.programme, placed_at)
    return Booking(
        reference_type="order",
        reference_id=order_id,
        kind=Kind.EARN,
        description="Earned with an order",
        given_at=placed_at,
        changed_at=changed_at,
        dates=LotDates(matures_at=matures_at, expires_at=expires_at, pending_until_paid=pending_until_paid),
        version=version,
        accounts=accounts,
        now=now,
    )
