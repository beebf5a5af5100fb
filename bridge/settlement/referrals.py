"""Referrals: a customer states another customer's code, and both get a bonus after the new customer's first order.

A new customer states the code before their first order; the version of the rules in force then decides both bonuses.
They are due as long as the new customer has an order that is paid and earns. Each settlement of one of their orders
brings the bonuses to that target. So a cancel or a full refund of the only order takes both bonuses back.

Locks: `referral`, by customer, after the orders' rows and the redemptions and before any account.
"""

import secrets
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    DateTime,
    Index,
    Integer,
    Row,
    Table,
    Text,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from bridge.db import metadata
from bridge.db.bulk import among
from bridge.errors import Conflict, NotFound
from bridge.ids import CustomerId, OrderId, new_id
from bridge.ledger.account import Account, Kind, PostingDetails
from bridge.ledger.merges import accounts_of_persons
from bridge.programme.versions import Version, current_version, versions_by_number
from bridge.settlement.accounts import Account as CustomerAccount
from bridge.settlement.accounts import accounts_with_fresh_mailbox, claim_mailbox, has_one_mailbox, is_later_account
from bridge.settlement.tables import order_former_owner, order_settlement

# Without letters that look like others. 32 to the power of 8 is about a million million, which cannot be guessed.
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_CODE_LENGTH = 8
_BRAKE_WINDOW = timedelta(days=30)

referral_code = Table(
    "referral_code",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("code", Text, nullable=False, unique=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

referral = Table(
    "referral",
    metadata,
    # The referred customer: referred once, by one referrer.
    Column("customer_id", Text, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("referrer_id", Text, nullable=False),
    # The version of the rules that decides the bonuses.
    Column("programme_version", Integer, nullable=False),
    Column("stated_at", DateTime(timezone=True), nullable=False),
    # The first order that is paid and earns now; null while there is none.
    Column("order_id", Text),
    # When there first was such an order, and the referrer's bonus since then: 0 if the limit in 30 days stopped it.
    Column("qualified_at", DateTime(timezone=True)),
    Column("referrer_due", BigInteger, nullable=False, server_default="0"),
    # As in order_settlement: what the ledger holds, and what could not be taken back.
    Column("referrer_booked", BigInteger, nullable=False, server_default="0"),
    Column("referrer_waived", BigInteger, nullable=False, server_default="0"),
    Column("referred_booked", BigInteger, nullable=False, server_default="0"),
    Column("referred_waived", BigInteger, nullable=False, server_default="0"),
    # Why one of them gets nothing, in plain words.
    Column("note", Text),
    CheckConstraint("customer_id <> referrer_id", name="not_oneself"),
    Index(None, "referrer_id", "qualified_at"),
)


class NoReferrals(Conflict):
    """The programme has no bonus for referrals."""

    code = "no_referrals"

    def __init__(self) -> None:
        super().__init__("The shop gives nothing for referrals at present.")


class UnknownReferralCode(NotFound):
    """No customer has this code."""

    code = "unknown_referral_code"

    def __init__(self) -> None:
        super().__init__("Nobody has this referral code: check it for typing errors.")


class OwnReferralCode(Conflict):
    """The code is the customer's own."""

    code = "own_referral_code"

    def __init__(self) -> None:
        super().__init__("This is your own code: it is for others to state.")


class AlreadyReferred(Conflict):
    """The customer has already stated another code."""

    code = "already_referred"

    def __init__(self) -> None:
        super().__init__("You have stated another referral code before, and it stays that one.")


class NotNew(Conflict):
    """The customer has already ordered, or the account is not the first of its mailbox."""

    code = "not_new"

    def __init__(self) -> None:
        super().__init__("A referral code is for new customers: before the first order, with the first account.")


class ReferralCircle(Conflict):
    """The referrer was referred by this customer."""

    code = "referral_circle"

    def __init__(self) -> None:
        super().__init__("You have referred this customer yourself; they cannot refer you.")


def own_code(connection: Connection, customer_id: CustomerId, *, now: datetime) -> str:
    """Return the customer's code, generated when it is first requested."""
    query = select(referral_code.c.code).where(referral_code.c.customer_id == customer_id)
    while (code := connection.scalar(query)) is None:
        fresh = "".join(secrets.choice(_LETTERS) for _ in range(_CODE_LENGTH))
        # Another customer may have this code, or this customer has another one by now. The next query shows both.
        connection.execute(
            insert(referral_code).values(customer_id=customer_id, code=fresh, created_at=now).on_conflict_do_nothing()
        )
    return str(code)


def referrer_of(connection: Connection, code: str) -> CustomerId:
    """Return the customer whose code it is. Raises `UnknownReferralCode`."""
    query = select(referral_code.c.customer_id).where(referral_code.c.code == code.strip().upper())
    referrer = connection.scalar(query)
    if referrer is None:
        raise UnknownReferralCode
    return CustomerId(referrer)


def state_code(
    connection: Connection,
    customer_id: CustomerId,
    code: str,
    *,
    accounts: Mapping[CustomerId, CustomerAccount] | None = None,
    now: datetime,
) -> Row[Any]:
    """Store who referred this customer; the same code again changes nothing.

    `accounts` are the customer and the referrer as Medusa has them, if it does: their mailboxes are compared. Merged
    accounts are one customer.

    Raises `NoReferrals`, `UnknownReferralCode`, `OwnReferralCode`, `AlreadyReferred`, `NotNew`, `ReferralCircle`.
    """
    referrer = referrer_of(connection, code)
    known = referral_of(connection, customer_id)
    if known is not None and known.referrer_id == referrer:
        return known
    persons = accounts_of_persons(connection, [customer_id, referrer])
    if referrer in persons[customer_id] or _have_one_mailbox(connection, accounts or {}, customer_id, referrer, now):
        raise OwnReferralCode
    if known is not None or _referrers(connection, persons[customer_id]):
        raise AlreadyReferred
    version = current_version(connection)
    if not version.programme.bonuses.referral.offered:
        raise NoReferrals
    if _has_ordered(connection, persons[customer_id]):
        raise NotNew
    account = (accounts or {}).get(customer_id)
    if is_later_account(connection, customer_id) if account is None else not _claims_mailbox(connection, account, now):
        raise NotNew
    # If two customers state each other's codes at once, the second waits here and then sees the first.
    _lock(connection, [*persons[customer_id], *persons[referrer]])
    if not _referrers(connection, persons[referrer]).isdisjoint(persons[customer_id]):
        raise ReferralCircle
    connection.execute(
        insert(referral)
        .values(
            customer_id=customer_id,
            id=new_id("dref"),
            referrer_id=referrer,
            programme_version=version.number,
            stated_at=now,
        )
        .on_conflict_do_nothing()
    )
    stated = connection.execute(select(referral).where(referral.c.customer_id == customer_id)).one()
    if stated.referrer_id != referrer:
        raise AlreadyReferred
    return stated


def _have_one_mailbox(
    connection: Connection,
    accounts: Mapping[CustomerId, CustomerAccount],
    customer_id: CustomerId,
    referrer: CustomerId,
    now: datetime,
) -> bool:
    both = [accounts[who].email if who in accounts else None for who in (customer_id, referrer)]
    return has_one_mailbox(connection, both, now=now)


def _has_ordered(connection: Connection, person: Collection[CustomerId]) -> bool:
    """Whether the customer has or had an order."""
    # A draft is not an order yet: it has no version of the rules.
    has = select(order_settlement.c.order_id).where(
        among(order_settlement.c.customer_id, list(person)), order_settlement.c.programme_version.is_not(None)
    )
    had = select(order_former_owner.c.order_id).where(among(order_former_owner.c.customer_id, list(person)))
    return connection.scalar(has.union_all(had).limit(1)) is not None


def _claims_mailbox(connection: Connection, account: CustomerAccount, now: datetime) -> bool:
    """Whether the account is the first of its mailbox, which is stored at once.

    Otherwise another account of the mailbox could state a code before Dust has seen either account.
    """
    claim_mailbox(connection, account, now=now)
    return bool(accounts_with_fresh_mailbox(connection, [account], now=now))


def _referrers(connection: Connection, customer_ids: Collection[CustomerId]) -> set[str]:
    """Return the referrers of these accounts."""
    query = select(referral.c.referrer_id).where(among(referral.c.customer_id, list(customer_ids)))
    return set(connection.scalars(query))


def referral_of(connection: Connection, customer_id: CustomerId) -> Row[Any] | None:
    """Return the referral of this customer; None without one."""
    return connection.execute(select(referral).where(referral.c.customer_id == customer_id)).one_or_none()


@dataclass(frozen=True, kw_only=True)
class Brought:
    """What a customer's own code has led to: customers who stated it, those with a qualifying order, and the points for
    it.
    """

    stated: int
    qualified: int
    dust: int
    notes: tuple[str, ...]
    """Why some of them gave no bonus, each sentence once."""


def brought_by(connection: Connection, customer_id: CustomerId) -> Brought:
    mine = referral.c.referrer_id == customer_id
    row = connection.execute(
        select(
            func.count().label("stated"),
            func.count(referral.c.order_id).label("qualified"),
            func.coalesce(func.sum(referral.c.referrer_booked - referral.c.referrer_waived), 0).label("dust"),
        ).where(mine)
    ).one()
    notes = connection.scalars(select(referral.c.note).where(mine, referral.c.note.is_not(None)).distinct().limit(10))
    return Brought(stated=row.stated, qualified=row.qualified, dust=int(row.dust), notes=tuple(sorted(notes)))


def forget_codes(connection: Connection, customer_ids: Collection[CustomerId]) -> None:
    """Delete these customers' codes. The bonuses already given stay in the ledger."""
    connection.execute(referral_code.delete().where(among(referral_code.c.customer_id, list(customer_ids))))


# Used by settlement.


@dataclass(frozen=True, kw_only=True)
class PaidOrder:
    """An order that is being settled, as referrals need it.

    `worth` is 0 unless the order is paid and earns.
    """

    order_id: OrderId
    customer_id: CustomerId
    placed_at: datetime
    worth: int


@dataclass(frozen=True, kw_only=True)
class Due:
    """A referral and what it should hold now, by the referred customer's orders. Its row is locked."""

    row: Row[Any]
    version: Version
    order_id: OrderId | None
    qualified_at: datetime | None
    referrer_due: int
    note: str | None

    @property
    def customers(self) -> tuple[CustomerId, CustomerId]:
        return CustomerId(self.row.customer_id), CustomerId(self.row.referrer_id)

    @property
    def referrer_target(self) -> int:
        return self.referrer_due if self.order_id else 0

    @property
    def referred_target(self) -> int:
        return self.version.programme.bonuses.referral.referred if self.order_id else 0

    @property
    def qualifies(self) -> bool:
        """Whether the referred customer has an order that counts for the first time."""
        return self.order_id is not None and self.row.qualified_at is None

    def limited(self, lately: int) -> "Due":
        """Apply the limit, after `lately` other referrals in 30 days gave the referrer a bonus."""
        most = self.version.programme.bonuses.referral.max_per_30_days
        if most is None or lately < most:
            return self
        return replace(self, referrer_due=0, note=f"{most} referrals in 30 days are the most that bring a bonus.")

    @property
    def changes(self) -> bool:
        row = self.row
        return bool(
            row.order_id != self.order_id
            or row.referrer_booked - row.referrer_waived != self.referrer_target
            or row.referred_booked - row.referred_waived != self.referred_target
        )


def referrals_due(
    connection: Connection, customers: Collection[CustomerId], own: Collection[PaidOrder], *, now: datetime
) -> list[Due]:
    """Return the referrals of these customers that change; `own` are their orders being settled."""
    if not customers:
        return []
    query = select(referral).where(among(referral.c.customer_id, list(customers)))
    rows = connection.execute(query.order_by(referral.c.customer_id).with_for_update()).all()
    if not rows:
        return []
    versions = versions_by_number(connection, {row.programme_version for row in rows})
    # Read only after the rows are locked: another settlement of the same customer's orders has ended, or waits for us.
    orders = _paid_orders(connection, [row.customer_id for row in rows], own)
    new = [row for row in rows if row.qualified_at is None]
    persons = accounts_of_persons(connection, [CustomerId(row.customer_id) for row in new])
    # The accounts were merged before the first order: a customer cannot refer themselves.
    own_codes = {row.customer_id for row in new if row.referrer_id in persons[row.customer_id]}
    _lock(connection, [CustomerId(row.referrer_id) for row in new])
    sequence = {order.order_id: number for number, order in enumerate(own)}
    found = [
        _due(row, versions[row.programme_version], orders.get(CustomerId(row.customer_id), ()), now)
        for row in rows
        if row.customer_id not in own_codes
    ]
    # In the sequence of the orders, so that the limit applies as if each was settled by itself.
    found.sort(key=lambda each: sequence.get(each.order_id, -1) if each.order_id else -1)
    brought: Counter[str] = Counter()
    due = []
    for each in found:
        if each.qualifies:
            lately = _lately(connection, each.row.referrer_id, now) + brought[each.row.referrer_id]
            each = each.limited(lately)
            brought[each.row.referrer_id] += each.referrer_due > 0
        due.append(each)
    return [each for each in due if each.changes]


def _paid_orders(
    connection: Connection, customers: list[str], own: Collection[PaidOrder]
) -> Mapping[CustomerId, list[PaidOrder]]:
    settling = {order.order_id for order in own}
    rows, formers = order_settlement.c, order_former_owner.c
    # An order counts for its first owner, even after a transfer.
    went_away = select(formers.order_id).where(formers.order_id == rows.order_id, formers.first).exists()
    of_owners = select(rows.order_id, rows.customer_id, rows.placed_at, rows.worth).where(
        among(rows.customer_id, customers), rows.paid, rows.worth > 0, ~went_away
    )
    of_first_owners = (
        select(rows.order_id, formers.customer_id, rows.placed_at, rows.worth)
        .join(order_former_owner, formers.order_id == rows.order_id)
        .where(among(formers.customer_id, customers), formers.first, rows.paid, rows.worth > 0)
    )
    query = of_owners.union_all(of_first_owners)
    found: dict[CustomerId, list[PaidOrder]] = {}
    others = [
        PaidOrder(
            order_id=OrderId(row.order_id),
            customer_id=CustomerId(row.customer_id),
            placed_at=row.placed_at,
            worth=row.worth,
        )
        for row in connection.execute(query)
        if row.order_id not in settling
    ]
    for order in [*others, *own]:
        found.setdefault(order.customer_id, []).append(order)
    return found


def _due(row: Row[Any], version: Version, orders: Iterable[PaidOrder], now: datetime) -> Due:
    rules = version.programme.bonuses.referral
    least = max(1, rules.min_earned)
    standing = sorted(
        (order for order in orders if order.worth >= least), key=lambda each: (each.placed_at, each.order_id)
    )
    order_id = standing[0].order_id if standing else None
    qualified_at, due, note = row.qualified_at, row.referrer_due, row.note
    if order_id and qualified_at is None:
        qualified_at, due, note = now, rules.referrer, None
    return Due(row=row, version=version, order_id=order_id, qualified_at=qualified_at, referrer_due=due, note=note)


def _lately(connection: Connection, referrer_id: str, now: datetime) -> int:
    """Return how many referrals gave the referrer a bonus in the last 30 days."""
    query = select(func.count()).where(
        referral.c.referrer_id == referrer_id,
        referral.c.qualified_at > now - _BRAKE_WINDOW,
        referral.c.referrer_due > 0,
    )
    return int(connection.scalar(query) or 0)


def settle_referral(connection: Connection, due: Due, accounts: Mapping[CustomerId, Account], now: datetime) -> None:
    """Post the changes for both customers, and store them."""
    row = due.row
    referred, referrer = (accounts[who] for who in due.customers)
    referred_booked, referred_waived = _bring_to(
        due, referred, due.referred_target, row.referred_booked, row.referred_waived, "You were referred", now
    )
    referrer_booked, referrer_waived = _bring_to(
        due, referrer, due.referrer_target, row.referrer_booked, row.referrer_waived, "You referred a customer", now
    )
    connection.execute(
        update(referral)
        .where(referral.c.customer_id == row.customer_id)
        .values(
            order_id=due.order_id,
            qualified_at=due.qualified_at,
            referrer_due=due.referrer_due,
            referrer_booked=referrer_booked,
            referrer_waived=referrer_waived,
            referred_booked=referred_booked,
            referred_waived=referred_waived,
            note=due.note,
        )
    )


def _bring_to(
    due: Due, account: Account, target: int, booked: int, waived: int, why: str, now: datetime
) -> tuple[int, int]:
    difference = target - (booked - waived)
    programme = due.version.programme
    if difference < 0:
        details = _memo(due, Kind.REVERSE, "The order that the bonus was for does not stand", now)
        # Expired points are not taken a second time. They count as waived.
        wanted = max(0, -difference - account.expired_of(due.row.id, now=now))
        policy = programme.reversal.negative_balance
        taken = account.reverse(wanted, details, now=now, policy=policy) if wanted else 0
        return booked - taken, waived - difference - taken
    # Waived points are still with the customer; those that had expired stay expired.
    forgiven = min(waived, difference)
    if left := min(forgiven, max(0, waived - account.expired_of(due.row.id, now=now))):
        account.forgive(left, _memo(due, Kind.BONUS, why, now), now=now, expires_at=programme.expiry(now))
    if difference > forgiven:
        details = _memo(due, Kind.BONUS, why, now)
        account.earn(difference - forgiven, details, now=now, expires_at=programme.expiry(now))
    return booked + difference - forgiven, waived - forgiven


def _memo(due: Due, kind: Kind, description: str, now: datetime) -> PostingDetails:
    return PostingDetails(
        kind=kind,
        reference_type="referral",
        reference_id=due.row.id,
        description=description,
        event_at=now,
        programme_version=due.version.number,
    )


def _lock(connection: Connection, customers: Iterable[CustomerId]) -> None:
    """Lock the referrals of these customers against other transactions.

    Locks in sorted order, so there is no deadlock.
    """
    keys = sorted({f"referral:{customer}" for customer in customers})
    lock = text("SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest(CAST(:keys AS text[])) AS key")
    if keys:
        connection.execute(lock, {"keys": keys})
