"""Referral codes: a customer enters another customer's code before their first order.

The version of the rules in force then decides both bonuses, see `referrals.py`.
"""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from bridge.db.bulk import among
from bridge.errors import Conflict, NotFound
from bridge.ids import CustomerId, new_id
from bridge.ledger.merges import persons_of
from bridge.programme.versions import current_version
from bridge.settlement.accounts import (
    CustomerAccount,
    accounts_with_fresh_mailbox,
    claim_mailbox,
    has_one_mailbox,
    is_later_account,
)
from bridge.settlement.referrals import Referral, lock_referrers
from bridge.settlement.tables import order_former_owner, order_settlement, referral, referral_code

# Without letters that look like others. 32 to the power of 8 is about a million million, which cannot be guessed.
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_CODE_LENGTH = 8


class NoReferrals(Conflict):
    """The programme has no bonus for referrals."""

    code = "no_referrals"
    message = "The shop has no referral bonus at the moment."


class UnknownReferralCode(NotFound):
    """No customer has this code."""

    code = "unknown_referral_code"
    message = "This referral code does not exist. Please check it for typing errors."


class OwnReferralCode(Conflict):
    """The code is the customer's own."""

    code = "own_referral_code"
    message = "You cannot use your own code."


class AlreadyReferred(Conflict):
    """The customer has already stated another code."""

    code = "already_referred"
    message = "You have already used a referral code. It cannot be changed."


class NotNew(Conflict):
    """The customer has already ordered, or the account is not the first of its mailbox."""

    code = "not_new"
    message = "Referral codes are for new customers, before their first order and with their first account."


class ReferralCircle(Conflict):
    """The referrer was referred by this customer."""

    code = "referral_circle"
    message = "You have referred this customer yourself; they cannot refer you."


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
) -> Referral:
    """Store who referred this customer; the same code again changes nothing.

    `accounts` are the customer and the referrer as Medusa has them, if it does: their mailboxes are compared. Merged
    accounts are one customer.

    Raises `NoReferrals`, `UnknownReferralCode`, `OwnReferralCode`, `AlreadyReferred`, `NotNew`, `ReferralCircle`.
    """
    referrer = referrer_of(connection, code)
    known = referral_of(connection, customer_id)
    if known is not None and known.referrer_id == referrer:
        return known
    accounts = accounts or {}
    emails = [accounts[account_id].email if account_id in accounts else None for account_id in (customer_id, referrer)]
    persons = persons_of(connection, [customer_id, referrer])
    own, referrers = persons[customer_id].merged_at.keys(), persons[referrer].merged_at.keys()
    if referrer in own or has_one_mailbox(connection, emails, now=now):
        raise OwnReferralCode
    if known is not None or _referrers(connection, own):
        raise AlreadyReferred
    version = current_version(connection)
    if not version.programme.bonuses.referral.offered:
        raise NoReferrals
    if _has_ordered(connection, own):
        raise NotNew
    account = accounts.get(customer_id)
    if is_later_account(connection, customer_id) if account is None else not _claims_mailbox(connection, account, now):
        raise NotNew
    # If two customers state each other's codes at once, the second waits here and then sees the first.
    lock_referrers(connection, persons)
    if not _referrers(connection, referrers).isdisjoint(own):
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
    stated = referral_of(connection, customer_id)
    if stated is None or stated.referrer_id != referrer:
        raise AlreadyReferred
    return stated


def _has_ordered(connection: Connection, person: Collection[CustomerId]) -> bool:
    # A draft is not an order yet: it has no version of the rules. An order whose payment was declined never was one.
    orders = order_settlement.c
    has = select(orders.order_id).where(
        among(orders.customer_id, list(person)), orders.programme_version.is_not(None), ~orders.gone
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


def referral_of(connection: Connection, customer_id: CustomerId) -> Referral | None:
    row = connection.execute(select(referral).where(referral.c.customer_id == customer_id)).one_or_none()
    return Referral.from_row(row) if row else None


@dataclass(frozen=True, kw_only=True)
class ReferralResults:
    """What a customer's own code has led to: customers who stated it, those with a qualifying order, and the points for
    it.
    """

    stated: int
    qualified: int
    dust: int
    notes: tuple[str, ...]
    """Why some of them gave no bonus, each sentence once."""


def read_referral_results(connection: Connection, customer_id: CustomerId) -> ReferralResults:
    mine = referral.c.referrer_id == customer_id
    row = connection.execute(
        select(
            func.count().label("stated"),
            func.count(referral.c.order_id).label("qualified"),
            func.coalesce(func.sum(referral.c.referrer_booked - referral.c.referrer_not_taken), 0).label("dust"),
        ).where(mine)
    ).one()
    notes = connection.scalars(select(referral.c.note).where(mine, referral.c.note.is_not(None)).distinct().limit(10))
    return ReferralResults(stated=row.stated, qualified=row.qualified, dust=int(row.dust), notes=tuple(sorted(notes)))


def delete_referral_codes(connection: Connection, customer_ids: Collection[CustomerId]) -> None:
    """Delete these customers' codes. The bonuses already given stay in the ledger."""
    connection.execute(referral_code.delete().where(among(referral_code.c.customer_id, list(customer_ids))))
