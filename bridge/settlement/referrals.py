"""Referral bonuses: both customers get one while the referred customer has an order that is paid and earns.

Each settlement of one of their orders brings the bonuses to that target. So a cancel or a full refund of the only
order takes both bonuses back. The bonuses are pending as long as points of that order would be, so that they cannot be
spent before the order can no longer be returned. While both accounts are merged, the target is 0.

Locks: `referral`, by customer, after the orders' rows and the redemptions and before any account.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select, update

from bridge.db.advisory_locks import lock_names
from bridge.db.bulk import among
from bridge.db.rows import TypedRow
from bridge.ids import CustomerId, OrderId
from bridge.ledger.lots import LotDates
from bridge.ledger.merges import Person, persons_of
from bridge.ledger.postings import Kind
from bridge.ledger.store import save
from bridge.programme.dates import expiry, maturity_and_expiry
from bridge.programme.versions import Version, versions_by_number
from bridge.settlement.booking import Booking, OpenAccounts, open_for_booking
from bridge.settlement.shares import Share, went_to_another_account
from bridge.settlement.tables import order_former_owner, order_settlement, referral

_LIMIT_WINDOW = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class Referral(TypedRow):
    """A row of `referral`: one customer referred another. Amounts are in points, see `tables.py`."""

    id: str
    customer_id: CustomerId
    referrer_id: CustomerId
    programme_version: int
    stated_at: datetime
    order_id: OrderId | None
    qualified_at: datetime | None
    referrer_due: int
    referrer_booked: int
    referrer_not_taken: int
    referrer_expired: int
    referrer_taken_back: int
    referred_booked: int
    referred_not_taken: int
    referred_expired: int
    referred_taken_back: int
    note: str | None

    @property
    def referrer(self) -> Share:
        return Share(
            customer_id=self.referrer_id,
            booked=self.referrer_booked,
            not_taken=self.referrer_not_taken,
            expired=self.referrer_expired,
            taken_back=self.referrer_taken_back,
        )

    @property
    def referred(self) -> Share:
        return Share(
            customer_id=self.customer_id,
            booked=self.referred_booked,
            not_taken=self.referred_not_taken,
            expired=self.referred_expired,
            taken_back=self.referred_taken_back,
        )


@dataclass(frozen=True, kw_only=True)
class PaidOrder:
    """A paid order, as referrals need it. `worth` is what it earns, `version` are the rules that it keeps."""

    order_id: OrderId
    customer_id: CustomerId
    placed_at: datetime
    worth: int
    version: Version

    def dates_of_bonuses(self, *, given_at: datetime) -> LotDates:
        """Return the dates of bonuses that are given for it: they mature when its points do."""
        programme = self.version.programme
        return LotDates(
            matures_at=maturity_and_expiry(programme, self.placed_at)[0], expires_at=expiry(programme, given_at)
        )


@dataclass(frozen=True, kw_only=True)
class DueReferral:
    """A referral and what it should hold now, by the referred customer's orders. Its row is locked."""

    referral: Referral
    version: Version
    order_id: OrderId | None
    qualified_at: datetime | None
    referrer_due: int
    note: str | None
    dates: LotDates
    """The dates of bonuses that are posted now."""
    anew: bool
    """Whether the order was placed after the bonuses were first given.

    Then bonuses that were taken back are given anew, with dates of their own. Otherwise they return to their lots.
    """
    one_person: bool
    """Whether both accounts are merged, so that the bonuses are taken back."""

    @property
    def customers(self) -> tuple[CustomerId, CustomerId]:
        return self.referral.customer_id, self.referral.referrer_id

    @property
    def shares(self) -> list[tuple[str, Share]]:
        return [(self.referral.id, share) for share in (self.referral.referred, self.referral.referrer)]

    @property
    def referrer_target(self) -> int:
        return self.referrer_due if self.order_id else 0

    @property
    def referred_target(self) -> int:
        return self.version.programme.bonuses.referral.referred if self.order_id else 0

    @property
    def qualifies(self) -> bool:
        """Whether the referred customer has an order that counts for the first time."""
        return self.order_id is not None and self.referral.qualified_at is None

    def limited(self, lately: int) -> "DueReferral":
        """Apply the limit, after `lately` other referrals in 30 days gave the referrer a bonus."""
        limit = self.version.programme.bonuses.referral.max_per_30_days
        if limit is None or lately < limit:
            return self
        return replace(self, referrer_due=0, note=f"No bonus: the limit is {limit} referrals in 30 days.")

    @property
    def changes(self) -> bool:
        row = self.referral
        return bool(
            row.order_id != self.order_id
            or row.referrer.net != self.referrer_target
            or row.referred.net != self.referred_target
        )


@dataclass(frozen=True, kw_only=True)
class ReferralHistory:
    """The locked referrals of some customers, and what decides about their bonuses."""

    referrals: tuple[Referral, ...] = ()
    versions: Mapping[int, Version]
    orders: tuple[PaidOrder, ...] = ()
    """The referred customers' paid orders, without those being settled."""
    one_person: frozenset[CustomerId] = frozenset()
    """The referred customers whose account is merged with their referrer's."""
    recent_bonuses: Mapping[CustomerId, int]
    """By id of the person who referred: how many referrals gave a bonus in the last 30 days."""
    referrers: Mapping[CustomerId, Person] = field(default_factory=dict)
    """Who referred, by account. Like `recent_bonuses`, only for referrals that have not qualified."""


def lock_referrals(
    connection: Connection, customers: Collection[CustomerId], *, settling: Collection[OrderId] = (), now: datetime
) -> ReferralHistory:
    """Lock and read the referrals of these customers; `settling` are their orders that are being settled."""
    nothing = ReferralHistory(versions={}, recent_bonuses={})
    if not customers:
        return nothing
    query = select(referral).where(among(referral.c.customer_id, list(customers)))
    rows = connection.execute(query.order_by(referral.c.customer_id).with_for_update()).all()
    if not rows:
        return nothing
    referrals = [Referral.from_row(row) for row in rows]
    # Read only after the rows are locked: another settlement of the same customer's orders has ended, or waits for us.
    orders = _paid_orders(connection, [stored.customer_id for stored in referrals], settling)
    persons = persons_of(connection, [stored.customer_id for stored in referrals])
    one_person = frozenset(
        stored.customer_id for stored in referrals if stored.referrer_id in persons[stored.customer_id].merged_at
    )
    referrers = persons_of(connection, {stored.referrer_id for stored in referrals if stored.qualified_at is None})
    lock_referrers(connection, referrers)
    return ReferralHistory(
        referrals=tuple(referrals),
        versions=versions_by_number(connection, {stored.programme_version for stored in referrals}),
        orders=tuple(orders),
        one_person=one_person,
        recent_bonuses=_recent_bonuses(connection, referrers, now),
        referrers=referrers,
    )


def due_referrals(history: ReferralHistory, own: Collection[PaidOrder], *, now: datetime) -> list[DueReferral]:
    """Return the referrals that change. Pure; `own` are the orders being settled, in sequence."""
    if not history.referrals:
        return []
    orders: dict[CustomerId, list[PaidOrder]] = {}
    for order in (*history.orders, *own):
        orders.setdefault(order.customer_id, []).append(order)
    sequence = {order.order_id: number for number, order in enumerate(own)}
    all_due = [
        _due(
            stored,
            history.versions[stored.programme_version],
            # A customer cannot refer themselves.
            () if stored.customer_id in history.one_person else orders.get(stored.customer_id, ()),
            one_person=stored.customer_id in history.one_person,
            now=now,
        )
        for stored in history.referrals
    ]
    # In the sequence of the orders, as if each was settled by itself. Orders outside the batch were settled before.
    all_due.sort(key=lambda due: sequence.get(due.order_id, -1) if due.order_id else -1)
    bonuses = Counter(history.recent_bonuses)
    changed = []
    for due in all_due:
        if due.qualifies:
            person = history.referrers[due.referral.referrer_id].id
            due = due.limited(bonuses[person])
            bonuses[person] += 1 if due.referrer_due else 0
        if due.changes:
            changed.append(due)
    return changed


def _paid_orders(connection: Connection, customers: list[CustomerId], settling: Collection[OrderId]) -> list[PaidOrder]:
    rows, formers = order_settlement.c, order_former_owner.c
    # An order counts for its first owner, even after a transfer.
    of_owners = select(rows.order_id, rows.customer_id, rows.placed_at, rows.worth, rows.programme_version).where(
        among(rows.customer_id, customers), rows.paid, rows.worth > 0, ~went_to_another_account()
    )
    of_first_owners = (
        select(rows.order_id, formers.customer_id, rows.placed_at, rows.worth, rows.programme_version)
        .join(order_former_owner, formers.order_id == rows.order_id)
        .where(among(formers.customer_id, customers), formers.first, rows.paid, rows.worth > 0)
    )
    paid = [row for row in connection.execute(of_owners.union_all(of_first_owners)) if row.order_id not in settling]
    versions = versions_by_number(connection, {row.programme_version for row in paid})
    return [
        PaidOrder(
            order_id=row.order_id,
            customer_id=row.customer_id,
            placed_at=row.placed_at,
            worth=row.worth,
            version=versions[row.programme_version],
        )
        for row in paid
    ]


def _due(
    referral: Referral, version: Version, orders: Iterable[PaidOrder], *, one_person: bool, now: datetime
) -> DueReferral:
    rules = version.programme.bonuses.referral
    min_worth = max(1, rules.min_earned)
    enough = [order for order in orders if order.worth >= min_worth]
    first = min(enough, key=lambda order: (order.placed_at, order.order_id), default=None)
    order_id = first.order_id if first else None
    qualified_at, due, note = referral.qualified_at, referral.referrer_due, referral.note
    if order_id and qualified_at is None:
        qualified_at, due, note = now, rules.referrer, None
    return DueReferral(
        referral=referral,
        version=version,
        order_id=order_id,
        qualified_at=qualified_at,
        referrer_due=due,
        note=note,
        dates=first.dates_of_bonuses(given_at=now) if first else LotDates(),
        anew=first is not None and qualified_at is not None and first.placed_at > qualified_at,
        one_person=one_person,
    )


def _recent_bonuses(
    connection: Connection, referrers: Mapping[CustomerId, Person], now: datetime
) -> Counter[CustomerId]:
    bonuses: Counter[CustomerId] = Counter()
    if not referrers:
        return bonuses
    columns = referral.c
    query = select(columns.referrer_id, func.count().label("bonuses")).where(
        among(columns.referrer_id, referrers),
        columns.qualified_at > now - _LIMIT_WINDOW,
        columns.referrer_due > 0,
    )
    for row in connection.execute(query.group_by(columns.referrer_id)):
        bonuses[referrers[row.referrer_id].id] += row.bonuses
    return bonuses


def settle_referrals(connection: Connection, customer_ids: Collection[CustomerId], *, now: datetime) -> None:
    """Settle the referrals of all accounts of these persons, after two were merged or a merge was undone."""
    customers = persons_of(connection, customer_ids).keys()
    due = due_referrals(lock_referrals(connection, customers, now=now), (), now=now)
    accounts = open_for_booking(
        connection,
        {account for due_referral in due for account in due_referral.customers},
        sources=[due_referral.referral.id for due_referral in due],
        shares=[share for due_referral in due for share in due_referral.shares],
        now=now,
    )
    for due_referral in due:
        post_referral(connection, due_referral, accounts, now)
    save(connection, accounts.by_customer.values())


def post_referral(connection: Connection, due: DueReferral, accounts: OpenAccounts, now: datetime) -> None:
    """Post the changes for both customers, and store them."""
    row = due.referral
    why_not = "Both accounts belong to the same customer" if due.one_person else "The order was canceled or returned"
    for_referred = Booking(
        reference_type="referral",
        reference_id=row.id,
        kind=Kind.BONUS,
        description="You were referred",
        given_at=now,
        changed_at=now,
        dates=due.dates,
        version=due.version,
        accounts=accounts,
        now=now,
    )
    for_referrer = replace(for_referred, description="You referred a customer")
    referred, referrer = row.referred, row.referrer
    if due.anew:
        referred, referrer = replace(referred, taken_back=0), replace(referrer, taken_back=0)
    referred = for_referred.bring_to(due.referred_target, referred, why_not, others=[referrer])
    referrer = for_referrer.bring_to(due.referrer_target, referrer, why_not, others=[referred])
    for share in (referred, referrer):
        accounts.update_pool(row.id, share)
    connection.execute(
        update(referral)
        .where(referral.c.customer_id == row.customer_id)
        .values(
            order_id=due.order_id,
            qualified_at=due.qualified_at,
            referrer_due=due.referrer_due,
            referrer_booked=referrer.booked,
            referrer_not_taken=referrer.not_taken,
            referrer_expired=referrer.expired,
            referrer_taken_back=referrer.taken_back,
            referred_booked=referred.booked,
            referred_not_taken=referred.not_taken,
            referred_expired=referred.expired,
            referred_taken_back=referred.taken_back,
            note=due.note,
        )
    )


def lock_referrers(connection: Connection, customers: Iterable[CustomerId]) -> None:
    """Lock the referrals of these customers against other transactions."""
    lock_names(connection, (f"referral:{customer}" for customer in customers))
