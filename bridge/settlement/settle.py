"""Settle orders to their target: the one code path for webhooks, reconcile, backfill and an operator's retry.

    target  = what the programme version of the order's first settlement gives for the order as it now is
    booked  = what the ledger holds for it
    post      target - booked, in the transaction that also remembers these facts

A guest's order has no customer to book it for; its points are held in `guest_escrow` instead, see `escrow.py`.

Lock order everywhere: order_settlement, guest_escrow, dust_redemption, referral, dust_balance; each by id.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, select

from bridge.db.bulk import among, insert_rows, update_rows
from bridge.ids import CustomerId, OrderId
from bridge.ledger.account import Account
from bridge.ledger.store import open_accounts, save, spent_lots, taken_lots
from bridge.medusa.currencies import amount_to_pay
from bridge.medusa.orders import Order
from bridge.observability.tracing import span
from bridge.products.settings import dust_only_among
from bridge.programme.earning import Earning, LineTerms, earning
from bridge.programme.limits import Allowed, Claim
from bridge.programme.rules import EarnWhen
from bridge.programme.versions import Version, current_version, longest_joint_limit_days, versions_by_number
from bridge.redemptions.capture import FirstUses, book_use, first_uses, is_used_by, report_second_use
from bridge.redemptions.service import Redemption, lock_redemptions_of_orders
from bridge.redemptions.tables import State
from bridge.settlement.booking import Booking
from bridge.settlement.earning_limits import (
    OVER_THE_LIMIT,
    LimitsOfBatch,
    Moved,
    OwnOrder,
    check_owners,
    lock_customers,
    write_moved,
)
from bridge.settlement.escrow import (
    Escrow,
    lock_escrows,
    open_escrow,
    owner_of,
    settle_escrows,
    why_nobody_earns,
)
from bridge.settlement.expired import ExpiredPool, read_pools
from bridge.settlement.facts import Age, Facts, compare, name_differences, next_check
from bridge.settlement.lines import (
    dust_only_lines,
    earning_lines,
    kept_shipping,
    line_notes,
    money_spent,
    read_first_uses,
    terms_of_lines,
)
from bridge.settlement.referrals import Due, PaidOrder, referrals_due, settle_referral
from bridge.settlement.shares import (
    Share,
    add_share,
    former_net,
    left_for_owner,
    read_former_owners,
    share_of_row,
    write_former_owners,
)
from bridge.settlement.tables import EscrowState, order_settlement
from bridge.settlement.tiers import TiersOfBatch


@dataclass(frozen=True, kw_only=True)
class Settled:
    """The result of settling one order.

    `stale` means that newer facts had been settled before, so nothing was done. `unclear` are facts that were left out,
    because only Medusa can tell whether they count. `differences` say how the state before differs from Medusa's
    answer, if Medusa was asked.
    """

    order_id: OrderId
    customer_id: CustomerId | None
    booked: int
    waived: int = 0
    change: int = 0
    stale: bool = False
    note: str | None = None
    unclear: tuple[Order, ...] = ()
    differences: tuple[str, ...] = ()


_NOTHING = Earning(dust=0, lines={})


@dataclass(frozen=True, kw_only=True)
class _NoRow:
    """The values used for an order that has no row yet."""

    customer_id: CustomerId | None = None
    guest: bool = False
    facts_version: int | None = None
    facts_updated_at: datetime | None = None
    facts_money: Decimal = Decimal(0)
    facts_canceled: bool = False
    gone: bool = False
    revision: int = 0
    placed_at: datetime | None = None
    programme_version: int | None = None
    earning_due: bool = False
    paid: bool = False
    unpaid: bool = False
    booked: int = 0
    waived: int = 0
    expired: int = 0
    taken_back: int = 0
    worth: int = 0
    former_share: int | None = None
    lines: Mapping[str, Any] = field(default_factory=dict)
    tier: Mapping[str, str] | None = None


_NO_ROW = _NoRow()


@dataclass(kw_only=True)
class _Case:
    """One order being settled: its facts, its row, and the target that follows from both."""

    order: Order
    row: Row[Any] | _NoRow
    version: Version
    dust_only_lines: frozenset[str]
    terms: Mapping[str, LineTerms]
    known_escrow: Escrow | None
    escrow: Escrow | None
    """The escrow before, and as it is now; the new one without its points, which the target gives."""
    earning_due: bool = False
    paid: bool = False
    tier: Mapping[str, str] | None = None
    """Its `name` and `factor`, as they were when the order was first settled."""
    earned: Earning = _NOTHING
    money: Decimal = Decimal(0)
    """The money spent on it, as tiers count it."""
    allowed: Allowed = field(default_factory=lambda: Allowed(dust=0))
    """The part of `earned` that limits across several orders allow."""
    asked: bool = False
    """Whether the facts are Medusa's own answer."""
    check_at: datetime | None = None
    redemptions: list[Redemption] = field(default_factory=list)
    spent: dict[str, dict[str, int]] = field(default_factory=dict)
    """By captured redemption: the points used, by lot.

    Their rows are locked, so this stays true. Orders of a batch that use the same redemption share this mapping and
    change it.
    """
    own: Share = field(default_factory=lambda: Share(customer_id=None))
    """The present owner's share of the order."""
    giver: Share | None = None
    """The former owner's share, if the order has just gone to another customer."""
    formers: list[Share] = field(default_factory=list)
    """The shares of the other former owners."""
    known_formers: list[Share] = field(default_factory=list)
    """The shares of former owners as they are in the database."""
    worth_before: int = 0
    """What the whole order was worth when its shares were last settled."""
    moves: int = 0
    """What goes from the former owner to the present one: the expected amount at first, then the actual one."""
    taken: Mapping[CustomerId, Mapping[str, int]] = field(default_factory=dict)
    """What reversals of the order took from each customer's lots."""

    @property
    def is_new(self) -> bool:
        """Whether this is the order's first settlement.

        Settlements as a draft, and a backfill that only pinned its rules, do not count as earlier ones.
        """
        return self.row.programme_version is None or self.row.facts_version is None

    @property
    def unpaid(self) -> bool:
        """Whether what it earns is pending until it is paid, and does not count for tiers."""
        return self.version.programme.earn.pending_until_paid and not (
            self.order.paid or self.order.canceled or self.order.is_draft
        )

    @property
    def awaits_payment(self) -> bool:
        """Whether a payment would change something, so that the poll has to check for it."""
        order, programme = self.order, self.version.programme
        if order.canceled or order.is_draft:
            return False
        raised = programme.earn.when is EarnWhen.CAPTURED and not order.paid
        for_referral = programme.bonuses.referral.offered and not self.paid
        return order.awaits_payment or self.unpaid or raised or for_referral

    @property
    def money_is_true(self) -> bool:
        """Whether the money in the earlier facts is plausible: the sum of money moved only grows."""
        return 0 < self.order.money_moved >= self.row.facts_money

    @property
    def stays_due(self) -> bool:
        """The value of `earning_due` for later facts.

        An order that counts as paid because it costs nothing does so only while it costs nothing.
        """
        waits_for_money = self.version.programme.earn.when is EarnWhen.CAPTURED
        return self.earning_due and not self.order.is_draft and not (waits_for_money and self.order.free)

    @property
    def owner(self) -> CustomerId | None:
        """The customer that the points belong to; None for a guest."""
        return owner_of(self.order, self.escrow)

    @property
    def target(self) -> int:
        """What the ledger should hold for the order's owner."""
        return min(self.allowed.dust, self.left) if self.owner else 0

    @property
    def worth(self) -> int:
        """What it would earn for its owner without other orders; 0 while it is in escrow for a guest."""
        return self.left if self.owner else 0

    @property
    def left(self) -> int:
        """What the order earns, less what its former owners keep."""
        return left_for_owner(self.others, self.earned.dust, self.worth_before)

    @property
    def others(self) -> list[Share]:
        """The shares of all former owners."""
        if self.giver is None:
            return self.formers
        claimed = max(0, self.worth_before - int(self.row.former_share or 0))
        left_behind = self.giver.left_behind(moved=self.moves, claimed=claimed)
        return [*self.formers, left_behind] if left_behind.matters else self.formers

    @property
    def former_share(self) -> int | None:
        """The part of the order's worth that its owner cannot earn; None without former owners."""
        return sum(share.net + share.unearned for share in self.others) if self.others else None

    @property
    def owner_before(self) -> CustomerId | None:
        """The customer that owned the order at its last settlement; None for a guest whose points were in escrow."""
        row = self.row
        if self.is_new or row.customer_id is None:
            return None
        if self.known_escrow is not None and not row.booked:
            return self.known_escrow.customer_id
        return CustomerId(row.customer_id)

    @property
    def first_owner(self) -> CustomerId | None:
        """The first owner, whose referral the order can qualify."""
        return next((share.customer_id for share in self.others if share.first), self.owner)

    @property
    def escrowed(self) -> int:
        """What should be in escrow for a guest."""
        return self.left if self.escrow and self.escrow.state is EscrowState.WAITING else 0

    @property
    def product_codes(self) -> frozenset[str]:
        """Codes in the order that pay for whole units of a product."""
        return frozenset(code.code for each in self.redemptions for code in each.codes if code.product_id)

    @property
    def only_earns(self) -> bool:
        is_paid_now = self.row.unpaid and not self.unpaid
        changes = self.giver or self.formers or self.redemptions or self.own.taken_back
        return self.target >= self.own.net and not is_paid_now and not changes


def settle_orders(
    connection: Connection,
    orders: Iterable[Order],
    *,
    now: datetime,
    quiet: Collection[str] = (),
    asked: Mapping[OrderId, int] | None = None,
) -> dict[OrderId, Settled]:
    """Bring the ledger to what these orders, as they are now, should hold. Takes any number of orders.

    The result is the same as if they were settled one by one in the given sequence. The sequence matters for tiers:
    what an order earns depends on the tier reached by the orders settled before it.

    No outgoing webhook is sent for the `quiet` ones. `asked` are orders that Medusa was asked for, with their revision
    from before (see `read_revisions`): they count as they are, unless they were settled meanwhile.
    """
    facts = list(orders)
    if not facts:
        return {}
    asked = asked or {}
    longest_days = longest_joint_limit_days(connection)
    locked = lock_customers(connection, facts) if longest_days else set()
    while True:
        looked = connection.begin_nested()
        rows = _lock_rows(connection, sorted({order.id for order in facts}))
        if longest_days:
            check_owners(connection, [row for row in rows.values() if isinstance(row, Row)], locked)
        fresh, settled = _choose(rows, facts, asked)
        steps = _open_cases(connection, fresh, rows, now)
        for case in steps:
            case.asked = case.order.id in asked
            case.check_at = next_check(case.order, asked=case.asked, quiet=case.order.id in quiet, now=now)
        _add_shares(connection, steps, peek=bool(longest_days), now=now)
        moved = _weigh(connection, steps, longest_days)
        cases = list({step.order.id: step for step in steps}.values())
        referrals = _referrals_due(connection, cases, now)
        if _insert_rows(connection, cases, now):
            looked.commit()
            break
        # Another transaction has settled one of them for the first time since we looked. Its row exists now, and its
        # facts count. The rollback releases the locks too, so the lock order is kept.
        looked.rollback()
    also = {CustomerId(other.row.customer_id) for other in moved} | {who for due in referrals for who in due.customers}
    accounts, pools = _open_accounts(connection, cases, moved, also, [due.row.id for due in referrals], now)
    with span("settlement.settle", orders=len(cases), customers=len(accounts)):
        for case in sorted(cases, key=lambda case: case.order.id):
            outcome = _settle(connection, case, accounts, pools, now)
            unclear = settled[case.order.id].unclear if case.order.id in settled else ()
            settled[case.order.id] = replace(outcome, unclear=unclear, differences=_differences(case, outcome))
        for other in moved:
            _settle_moved(connection, other, accounts[CustomerId(other.row.customer_id)], pools, now)
        for due in referrals:
            settle_referral(connection, due, accounts, now)
        save(connection, accounts.values(), quiet=quiet)
        guests = [(case.order, case.known_escrow, case.escrow, case.escrowed) for case in cases if case.escrow]
        settle_escrows(connection, guests, now=now)
        _update_rows(connection, cases, settled, now)
        changed = {case.order.id: case.others for case in cases if case.others != case.known_formers}
        write_former_owners(connection, changed)
    return settled


def _lock_rows(connection: Connection, order_ids: list[OrderId]) -> dict[OrderId, Row[Any] | _NoRow]:
    query = (
        select(order_settlement)
        .where(among(order_settlement.c.order_id, order_ids))
        .order_by(order_settlement.c.order_id)
        .with_for_update()
    )
    known = {OrderId(row.order_id): row for row in connection.execute(query)}
    return {order_id: known.get(order_id, _NO_ROW) for order_id in order_ids}


def _choose(
    rows: Mapping[OrderId, Row[Any] | _NoRow], facts: Iterable[Order], asked: Mapping[OrderId, int]
) -> tuple[list[Order], dict[OrderId, Settled]]:
    """Return the facts that count, in sequence, and the results of orders that keep their known facts.

    Of equal facts only the last remain. An order is in both results if some of its facts count and others are unclear.
    """
    known = {order_id: Facts.from_row(row) for order_id, row in rows.items()}
    fresh: dict[tuple[OrderId, Facts], Order] = {}
    unclear: dict[OrderId, list[Order]] = {}
    for order in facts:
        new = Facts.of(order)
        is_answer = asked.get(order.id) == rows[order.id].revision
        age = Age.NEWER if is_answer else compare(new, known[order.id])
        if age is Age.NEWER:
            fresh[order.id, new] = order
            known[order.id] = new
        elif age is Age.UNCLEAR:
            unclear.setdefault(order.id, []).append(order)
    kept = rows.keys() - {order_id for order_id, _ in fresh} | unclear.keys()
    settled = {
        order_id: replace(_stale(rows[order_id], order_id), unclear=tuple(unclear.get(order_id, ())))
        for order_id in kept
    }
    return list(fresh.values()), settled


def _differences(case: _Case, outcome: Settled) -> tuple[str, ...]:
    if not case.asked:
        return ()
    return name_differences(case.row, case.order, booked=outcome.booked, escrowed=case.escrowed)


def _stale(row: Any, order_id: OrderId) -> Settled:
    return Settled(
        order_id=order_id,
        customer_id=row.customer_id,
        booked=row.booked,
        waived=row.waived,
        stale=True,
        note="Newer facts of this order were settled before.",
    )


def _open_cases(
    connection: Connection, orders: list[Order], rows: Mapping[OrderId, Row[Any] | _NoRow], now: datetime
) -> list[_Case]:
    """Create a case for each of these facts. An order may have several; the last one is settled."""
    if not orders:
        return []
    orders = _placed_for_good(orders, rows)
    newest = {order.id: order for order in orders}
    current = current_version(connection)
    numbers = {number for order in orders if (number := rows[order.id].programme_version) is not None}
    versions = versions_by_number(connection, numbers) | {current.number: current}
    products = {line.product_id for order in orders for line in order.lines if line.product_id}
    dust_only = dust_only_among(connection, products)
    # Orders that never were a guest's need no query.
    guests = {order.id for order in orders if order.is_guest or rows[order.id].guest}
    escrows = lock_escrows(connection, guests)
    cases = []
    for order in orders:
        row = rows[order.id]
        version = current if row.programme_version is None else versions[row.programme_version]
        # The stored terms of a draft do not apply to the order that it becomes.
        known_lines = {} if row.programme_version is None else row.lines
        cases.append(
            _Case(
                order=order,
                row=row,
                version=version,
                dust_only_lines=dust_only_lines(order, row.lines, dust_only),
                terms=terms_of_lines(order, known_lines, version.programme.earn),
                known_escrow=escrows.get(order.id),
                escrow=open_escrow(order, escrows.get(order.id), version, now=now),
            )
        )
    _add_redemptions(connection, cases, newest)
    return cases


def _add_shares(connection: Connection, cases: list[_Case], *, peek: bool, now: datetime) -> None:
    """Add the owners' shares to the cases. With `peek`, also compute what a transfer would move to the new owner."""
    with_formers = {case.order.id for case in cases if case.row.former_share is not None}
    known = read_former_owners(connection, with_formers)
    first: dict[OrderId, CustomerId] = {}
    for case in cases:
        case.known_formers = known.get(case.order.id, [])
        _add_shares_of(case)
        if case.is_new and case.owner and not case.order.is_draft:
            # Facts of one batch may show a transfer to another customer before the order was ever settled.
            owner = first.setdefault(case.order.id, case.owner)
            if owner != case.owner:
                case.formers = [Share(customer_id=owner, first=True)]
    givers = {case.order.id: case for case in cases if case.giver} if peek else {}
    if givers:
        who = {_customer(case.giver) for case in givers.values() if case.giver}
        accounts = open_accounts(connection, who, lock=False)
        moves = {
            order_id: _booking(case, {}, now).transfer(case.giver, accounts[_customer(case.giver)], None)
            for order_id, case in givers.items()
            if case.giver
        }
        for case in cases:
            case.moves = moves.get(case.order.id, 0)


def _add_shares_of(case: _Case) -> None:
    row = case.row
    # Null on rows from before `worth` was stored.
    case.worth_before = int(row.booked - row.waived if row.worth is None else row.worth)
    before = case.owner_before
    if before != case.owner and (before or row.booked):
        case.giver = share_of_row(row, first=not any(share.first for share in case.known_formers))
    case.own = share_of_row(row) if row.customer_id == case.owner else Share(customer_id=case.owner)
    case.formers = [share for share in case.known_formers if share.customer_id != case.owner]
    for share in case.known_formers:
        if share.customer_id == case.owner:
            # The order is back with a former owner.
            case.own = add_share(case.own, share)


def _placed_for_good(orders: list[Order], rows: Mapping[OrderId, Row[Any] | _NoRow]) -> list[Order]:
    """Return these facts with the time their orders were placed, which never changes once it is stored.

    An order first seen as a draft was placed with the first facts that are no draft.
    """
    placed: dict[OrderId, datetime] = {}
    drafts = set()
    for order_id, row in rows.items():
        if row.facts_version is not None and row.programme_version is None:
            drafts.add(order_id)
        elif row.facts_version is not None and row.placed_at is not None:
            placed[order_id] = row.placed_at
    dated = []
    for order in orders:
        if order.is_draft:
            drafts.add(order.id)
        else:
            # Medusa's `created_at`, which a draft keeps, unless the event says when it was placed.
            begun = order.placed_at == order.created_at
            first = max(order.placed_at, order.updated_at) if order.id in drafts and begun else order.placed_at
            placed.setdefault(order.id, first)
        dated.append(replace(order, placed_at=placed.get(order.id, order.placed_at)))
    return dated


def _weigh(connection: Connection, cases: list[_Case], longest_days: int | None) -> list[Moved]:
    """Compute what each order earns, one after the other; return other orders whose limits now change.

    A later case of an order replaces the earlier one.
    """
    tiers = _tiers_of_batch(connection, cases)
    limits = LimitsOfBatch(connection, _own_orders(cases), longest_days=longest_days) if longest_days else None
    before: dict[OrderId, _Case] = {}
    for case in cases:
        earlier = before.get(case.order.id)
        case.earning_due = _is_due(case, earlier)
        case.paid = _is_paid(case, earlier)
        case.tier = _tier_met(case, earlier, tiers, limits)
        case.earned = _earned(case)
        case.allowed = Allowed(dust=case.earned.dust, why=case.earned.why)
        if case.owner and case.earning_due and not (case.order.canceled or case.order.is_draft):
            case.money = money_spent(case.order, case.version.programme.earn, case.dust_only_lines)
        if limits:
            limits.put(_claim(case), case.owner)
        if tiers:
            tiers.put(case.order, None if case.unpaid else case.owner, dust=case.earned.dust, spent=case.money)
        before[case.order.id] = case
    if limits is None:
        return []
    for case in before.values():
        share = limits.shares(case.owner)[case.order.id] if case.owner else None
        if share is not None and share.dust < case.worth:
            case.allowed = share
    return limits.lock_moved(connection)


def _tiers_of_batch(connection: Connection, cases: list[_Case]) -> TiersOfBatch | None:
    new = [case for case in cases if case.is_new and case.owner]
    # Usually only the version in force now; a backfill may have pinned another.
    tiers = {case.version.number: case.version.programme.tiers for case in new}
    if not any(each.levels for each in tiers.values()):
        return None
    owners = {case.owner for case in new if case.owner}
    return TiersOfBatch(connection, tiers, owners, since=min(case.order.placed_at for case in new))


def _tier_met(
    case: _Case, earlier: _Case | None, tiers: TiersOfBatch | None, limits: LimitsOfBatch | None
) -> Mapping[str, str] | None:
    """Return the customer's tier at the order's first settlement."""
    if not case.is_new:
        return case.row.tier
    if earlier is not None and not earlier.order.is_draft:
        return earlier.tier
    if tiers is None or case.owner is None:
        return None
    shares = limits.shares(case.owner) if limits else {}
    dust = {order_id: share.dust for order_id, share in shares.items()}
    level = tiers.level_of(case.version.number, case.owner, case.order.placed_at, dust)
    return {"name": level.name, "factor": f"{level.factor:f}"} if level else None


def _own_orders(cases: list[_Case]) -> list[OwnOrder]:
    return [
        OwnOrder(
            order_id=case.order.id,
            placed_at=case.order.placed_at,
            customers=frozenset(who for who in (case.owner, CustomerId(case.row.customer_id or "")) if who),
        )
        for case in cases
    ]


def _claim(case: _Case) -> Claim:
    return Claim(
        order_id=case.order.id,
        placed_at=case.order.placed_at,
        worth=case.worth,
        limits=case.version.programme.earn.limits,
        time_zone=case.version.programme.time_zone,
    )


def _referrals_due(connection: Connection, cases: list[_Case], now: datetime) -> list[Due]:
    own = [
        PaidOrder(
            order_id=case.order.id,
            # Empty if no account ever owned the order: its row may still name a customer.
            customer_id=case.first_owner or CustomerId(""),
            placed_at=case.order.placed_at,
            worth=case.earned.dust if case.paid and case.first_owner else 0,
        )
        for case in cases
    ]
    before = {CustomerId(case.row.customer_id) for case in cases if case.row.customer_id}
    customers = before | {order.customer_id for order in own if order.customer_id}
    return referrals_due(connection, customers, own, now=now)


def _is_due(case: _Case, earlier: _Case | None) -> bool:
    """Whether the event required by `earn.when` has happened, in these facts or in older ones."""
    before = earlier.stays_due if earlier else case.row.earning_due
    if case.asked and before:
        # Earlier facts may have been forged. Completing is final, so Medusa's answer would show it.
        before = case.money_is_true and case.version.programme.earn.when is EarnWhen.CAPTURED
    match case.version.programme.earn.when:
        case EarnWhen.PLACED:
            return True
        case EarnWhen.CAPTURED:
            return case.order.paid or before
        case EarnWhen.COMPLETED:
            return case.order.completed or before


def _is_paid(case: _Case, earlier: _Case | None) -> bool:
    """Whether the order is or was paid. A later edit that raises its total does not affect a referral's bonus."""
    before, money = (earlier.paid, earlier.order.money_moved) if earlier else (case.row.paid, case.row.facts_money)
    before = bool(before) and money > 0 and (case.money_is_true or not case.asked)
    return not case.order.canceled and (case.order.paid or before)


def _earned(case: _Case) -> Earning:
    order, rules = case.order, case.version.programme.earn
    if order.is_draft:
        return Earning(dust=0, lines={}, why="A draft: it earns once it is an order.")
    if order.gone:
        return Earning(dust=0, lines={}, why="Medusa no longer has the order: it was deleted, unpaid as a rule.")
    if order.canceled:
        return Earning(dust=0, lines={}, why="The order is canceled.")
    if why_nobody := why_nobody_earns(order, case.escrow):
        return Earning(dust=0, lines={}, why=why_nobody)
    if not case.earning_due:
        return Earning(dust=0, lines={}, why=f"The order earns once {rules.when} has happened.")
    shipping_net, shipping_gross = kept_shipping(order, rules)
    return earning(
        rules,
        currency_code=order.currency_code,
        lines=earning_lines(order, rules, case.terms, case.redemptions),
        shipping_net=shipping_net,
        shipping_gross=shipping_gross,
        without=case.dust_only_lines,
        factor=(Decimal(case.tier["factor"]) if case.tier else Decimal(1)) * _share_that_counts(case),
    )


def _share_that_counts(case: _Case) -> Decimal:
    """Return the share of an order that is paid, after an edit has raised its total.

    It is 1 if the rules do not wait for payment, or if the facts have no amounts.
    """
    waits = case.version.programme.earn.when is EarnWhen.CAPTURED
    return case.order.paid_share or Decimal(1) if waits else Decimal(1)


def _add_redemptions(connection: Connection, cases: list[_Case], newest: Mapping[OrderId, Order]) -> None:
    codes = {code for case in cases for code in case.order.codes}
    for redemption in lock_redemptions_of_orders(connection, codes=codes, order_ids=list(newest)):
        for case in cases:
            # A draft may be deleted without an event, and would keep the points.
            if case.order.is_draft:
                continue
            if is_used_by(redemption, case.order):
                case.redemptions.append(redemption)
            elif case.order is newest[case.order.id]:
                report_second_use(connection, redemption, case.order)


def _open_accounts(
    connection: Connection,
    cases: list[_Case],
    moved: list[Moved],
    also: set[CustomerId],
    sources: list[str],
    now: datetime,
) -> tuple[dict[CustomerId, Account], dict[CustomerId, ExpiredPool]]:
    """Lock all accounts concerned. Accounts that only earn are opened without lots, which is enough for most orders.

    `sources` are what may be taken back besides the orders.
    """
    quick: set[CustomerId] = set()
    whole = set(also)
    extra_lots: set[str] = set()
    spent: dict[str, dict[str, int]] = {}
    for case in cases:
        owners = {case.owner} if case.target or case.giver else set()
        owners |= {case.own.customer_id} if case.own.booked > 0 else set()
        owners |= {share.customer_id for share in (case.giver, *case.formers) if share}
        owners |= {redemption.customer_id for redemption in case.redemptions}
        (quick if case.only_earns else whole).update(owner for owner in owners if owner)
        case.spent = spent
        for redemption in case.redemptions:
            if redemption.state is State.CAPTURED and redemption.id not in spent:
                spent[redemption.id] = spent_lots(connection, redemption.customer_id, redemption.id)
                extra_lots |= spent[redemption.id].keys()
    if not whole:
        return open_accounts(connection, quick, lots=False), {}
    extra_lots |= _add_taken(connection, cases, moved)
    changing = [case.order.id for case in cases if not case.only_earns]
    changing += [OrderId(other.row.order_id) for other in moved]
    accounts = open_accounts(connection, quick | whole, extra_lots=extra_lots, expired_of=[*changing, *sources])
    return accounts, read_pools(connection, accounts, now=now)


def _add_taken(connection: Connection, cases: list[_Case], moved: list[Moved]) -> set[str]:
    """Look up what reversals took from orders that may be worth more again; return the lots it was taken from."""
    shares = [(case.order.id, share) for case in cases for share in (case.own, *case.formers) if share.taken_back]
    shares += [(OrderId(other.row.order_id), share_of_row(other.row)) for other in moved if other.row.taken_back]
    taken = taken_lots(
        connection,
        {share.customer_id for _, share in shares if share.customer_id},
        {order_id for order_id, _ in shares},
    )
    for case in cases:
        case.taken = taken.get(case.order.id, {})
    for other in moved:
        other.taken = taken.get(OrderId(other.row.order_id), {})
    return {lot for by_customer in taken.values() for lots in by_customer.values() for lot in lots}


def _settle(
    connection: Connection,
    case: _Case,
    accounts: Mapping[CustomerId, Account],
    pools: Mapping[CustomerId, ExpiredPool],
    now: datetime,
) -> Settled:
    before = case.row.booked + sum(share.booked for share in case.known_formers)
    _settle_shares(case, accounts, pools, now)
    for share in (case.own, *case.others):
        if share.customer_id and (pool := pools.get(share.customer_id)):
            pool.note(case.order.id, share)
    for redemption in case.redemptions:
        book_use(
            connection,
            accounts[redemption.customer_id],
            redemption,
            case.order,
            product_codes=case.product_codes,
            first=read_first_uses(case.row.lines),
            spent=case.spent.setdefault(redemption.id, {}),
            now=now,
        )
    after = case.own.booked + sum(share.booked for share in case.others)
    return replace(_outcome(case, case.own.booked, case.own.waived), change=after - before)


def _settle_shares(
    case: _Case, accounts: Mapping[CustomerId, Account], pools: Mapping[CustomerId, ExpiredPool], now: datetime
) -> None:
    """Settle the shares of the owner and of former owners to their targets, a transfer first."""
    booking = _booking(case, pools, now)
    if case.giver is not None:
        taker = accounts[case.owner] if case.owner else None
        case.moves = booking.transfer(case.giver, accounts[_customer(case.giver)], taker)
        if case.owner:
            case.own = replace(case.own, booked=case.own.booked + case.moves)
        case.formers, case.giver = case.others, None
    if case.owner and case.owner in accounts and case.row.unpaid and not case.unpaid:
        booking.pay(accounts[case.owner])
    difference = former_net(case.formers, case.earned.dust, case.worth_before)
    difference -= sum(share.net for share in case.formers)
    target = case.target
    # The last owner to give back is the first to get back.
    for share in case.formers if difference < 0 else reversed(case.formers):
        part = max(difference, -share.net) if difference < 0 else min(difference, share.can_regrow)
        if part:
            _replace(case, share, _bring_to(booking, case, share.net + part, share, accounts))
            difference -= part
    if case.owner and target != case.own.net:
        case.own = _bring_to(booking, case, target, case.own, accounts)
    case.worth_before = case.earned.dust


def _bring_to(
    booking: Booking, case: _Case, target: int, share: Share, accounts: Mapping[CustomerId, Account]
) -> Share:
    account = accounts[_customer(share)]
    person = account.survivor or account
    # Accounts merged into one share its lots: expired points count for only one share of the order.
    counted = sum(
        other.expired
        for other in (case.own, *case.formers)
        if other.customer_id != share.customer_id
        and other.expired
        and (accounts[_customer(other)].survivor or accounts[_customer(other)]) is person
    )
    return booking.bring_to(target, share, account, _why_less(case), counted=counted)


def _replace(case: _Case, share: Share, by: Share) -> None:
    case.formers = [by if each.customer_id == share.customer_id else each for each in case.formers]


def _customer(share: Share) -> CustomerId:
    if share.customer_id is None:
        raise AssertionError("nobody has this share")
    return share.customer_id


def _booking(case: _Case, pools: Mapping[CustomerId, ExpiredPool], now: datetime) -> Booking:
    return Booking(
        order_id=case.order.id,
        placed_at=case.order.placed_at,
        changed_at=case.order.updated_at,
        version=case.version,
        unpaid=case.unpaid,
        now=now,
        taken=case.taken,
        pools=pools,
    )


def _outcome(case: _Case, booked: int, waived: int) -> Settled:
    return Settled(
        order_id=case.order.id,
        customer_id=case.owner or case.order.customer_id,
        booked=booked,
        waived=waived,
        change=booked - case.row.booked,
        note=case.allowed.why or _what_waits(case) or _what_is_unpaid(case),
    )


def _settle_moved(
    connection: Connection,
    moved: Moved,
    account: Account,
    pools: Mapping[CustomerId, ExpiredPool],
    now: datetime,
) -> None:
    """Settle another order of the customer whose allowed points have changed by a limit."""
    row = moved.row
    booking = Booking(
        order_id=row.order_id,
        placed_at=row.placed_at,
        changed_at=now,
        version=moved.version,
        unpaid=row.unpaid,
        now=now,
        taken=moved.taken,
        pools=pools,
    )
    share = booking.bring_to(moved.allowed.dust, share_of_row(row), account, OVER_THE_LIMIT)
    if account.customer_id in pools:
        pools[account.customer_id].note(row.order_id, share)
    write_moved(connection, moved, share, now=now)


def _what_waits(case: _Case) -> str | None:
    if not case.escrow or case.escrow.state is not EscrowState.WAITING:
        return None
    return f"A guest's order: {case.escrowed} dust wait until {case.escrow.expires_at:%d %b %Y} to be claimed."


def _what_is_unpaid(case: _Case) -> str | None:
    return "Its points are pending until the order is paid." if case.unpaid and case.target else None


def _why_less(case: _Case) -> str:
    if case.order.gone:
        return "Order deleted"
    if case.order.canceled:
        return "Order canceled"
    return OVER_THE_LIMIT if case.allowed.dust < case.earned.dust else "Order returned or changed"


def _insert_rows(connection: Connection, cases: list[_Case], now: datetime) -> bool:
    """Insert the final rows of orders that had none; return False if one of them has got a row meanwhile.

    Writing a row once, instead of a placeholder first and the result later, halves the work on this table. The result
    is known before any account is opened: nothing was booked before, so the whole target is booked.

    Concurrent inserts of the same order wait for each other here. New orders are locked after all known ones and before
    all accounts, by id, so there is no deadlock.
    """
    new = sorted((case for case in cases if case.row is _NO_ROW), key=lambda case: case.order.id)
    rows = [_row_values(case, _outcome(case, case.target, 0), now) for case in new]
    return len(insert_rows(connection, order_settlement, rows, returning="order_id")) == len(rows)


def _update_rows(connection: Connection, cases: list[_Case], settled: Mapping[OrderId, Settled], now: datetime) -> None:
    rows = [_row_values(case, settled[case.order.id], now) for case in cases if case.row is not _NO_ROW]
    update_rows(connection, order_settlement, rows, key=("order_id",))


def _row_values(case: _Case, outcome: Settled, now: datetime) -> dict[str, Any]:
    order = case.order
    return {
        "order_id": order.id,
        "customer_id": outcome.customer_id,
        "buyer_id": order.customer_id if outcome.customer_id != order.customer_id else None,
        # Stays true: the guest's escrow, and whether it has expired, counts for the account as well.
        "guest": order.is_guest or case.row.guest,
        "facts_version": order.version,
        "facts_updated_at": order.updated_at,
        "facts_money": case.row.facts_money if order.gone else order.money_moved,
        "facts_canceled": order.canceled,
        "gone": order.gone,
        "revision": case.row.revision + 1,
        "check_at": case.check_at,
        "missing_since": None,
        # The rules in force when the order is placed, not when its draft was started.
        "programme_version": None if order.is_draft else case.version.number,
        "earning_due": case.stays_due,
        "booked": outcome.booked,
        "waived": outcome.waived,
        "expired": case.own.expired,
        "taken_back": case.own.taken_back,
        "worth": case.earned.dust if case.owner or case.others else 0,
        "former_share": case.former_share,
        "spent": case.money,
        "currency_code": order.currency_code,
        "paid": case.paid,
        # Like the rules, the tier is fixed when the order is placed.
        "tier": None if order.is_draft else case.tier,
        "escrowed": case.escrowed,
        "lines": _line_notes(case),
        "unpaid_dust_only": _has_unpaid_dust_only(case),
        "awaits_payment": case.awaits_payment,
        "unpaid": case.unpaid,
        "note": outcome.note,
        "placed_at": order.placed_at,
        "updated_at": now,
    }


def _first_uses(case: _Case) -> FirstUses:
    return first_uses(case.order, case.redemptions, case.product_codes)


def _line_notes(case: _Case) -> Mapping[str, Any]:
    if case.order.gone:
        # If the order comes back, the same terms apply.
        return case.row.lines
    uses = _first_uses(case)
    return line_notes(case.order, case.row.lines, case.terms, case.dust_only_lines, case.earned.lines, uses)


def _has_unpaid_dust_only(case: _Case) -> bool:
    """Whether a dust-only product was paid with money or another discount: a draft order, an edit or an exchange.

    A merchant may do so on purpose, so it is only reported; the storefront's checkout refuses such a cart.
    """
    codes = {code.code for redemption in case.redemptions for code in redemption.codes if code.product_id}
    return not (case.order.canceled or case.order.is_draft) and any(
        amount_to_pay(line.gross, case.order.currency_code) > 0 or codes.isdisjoint(use.code for use in line.code_uses)
        for line in case.order.lines
        if line.id in case.dust_only_lines and line.stands
    )


def unpaid_orders(connection: Connection, *, limit: int) -> list[OrderId]:
    """Return the newest orders with dust-only products that were not paid with points."""
    query = select(order_settlement.c.order_id).where(order_settlement.c.unpaid_dust_only)
    newest = query.order_by(order_settlement.c.order_id.desc()).limit(limit)
    return [OrderId(found) for found in connection.scalars(newest)]
