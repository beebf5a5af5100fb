"""Customer accounts and mailboxes that Dust has seen, see docs/decisions/0038.

In Medusa anyone can open an account with any e-mail, a second one with the same mailbox in other capitals, and another
one after a deletion. So a new customer's bonus is given once per account and once per mailbox. A mailbox is stored as a
keyed hash, and the hash stays after the account is deleted.

Lock order: `customer_account`, `mailbox`, then `proved_email`.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.postgresql import insert

from bridge.db.bulk import among
from bridge.ids import CustomerId
from bridge.settlement.email_hash import email_hash_key, hash_email
from bridge.settlement.tables import customer_account, mailbox


@dataclass(frozen=True, kw_only=True)
class CustomerAccount:
    """A customer account as Medusa has it.

    `edited` says that its record has changed since it was created, so its e-mail may have changed too.
    """

    customer_id: CustomerId
    email: str | None = field(repr=False)
    created_at: datetime | None
    edited: bool


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """What Dust knew about an account before this call."""

    first: bool
    """Whether the account is seen for the first time."""
    was_record: bool = False
    """Whether Dust has seen it before as a customer record without an account."""


def record_customer(connection: Connection, customer_id: CustomerId, *, now: datetime) -> None:
    """Store a customer record without an account, which may get an account later."""
    row = {"customer_id": customer_id, "has_account": False, "first_seen_at": now}
    connection.execute(insert(customer_account).values(row).on_conflict_do_nothing())


def record_account(connection: Connection, account: CustomerAccount, *, now: datetime) -> Sighting:
    """Store the account, and its mailbox when the account is new; return what was known before."""
    row = {"customer_id": account.customer_id, "has_account": True, "first_seen_at": now}
    added = connection.execute(
        insert(customer_account).values(row).on_conflict_do_nothing().returning(customer_account.c.customer_id)
    ).one_or_none()
    is_this = customer_account.c.customer_id == account.customer_id
    had_account = connection.scalar(select(customer_account.c.has_account).where(is_this).with_for_update())
    if added is None and had_account:
        return Sighting(first=False)
    connection.execute(update(customer_account).where(is_this).values(has_account=True))
    _take_mailbox(connection, account, now=now)
    return Sighting(first=True, was_record=added is None)


def claim_mailbox(connection: Connection, account: CustomerAccount, *, now: datetime) -> None:
    """Make an account that Dust has not seen the first one of its mailbox, unless the mailbox has one."""
    if not seen_accounts(connection, [account.customer_id]):
        _take_mailbox(connection, account, now=now)


def _take_mailbox(connection: Connection, account: CustomerAccount, *, now: datetime) -> None:
    # One account has one mailbox: after a change of its e-mail it does not become the first account of that mailbox
    # too.
    if account.email is not None and not _first_accounts(connection, [account.customer_id]):
        email_hash = hash_email(email_hash_key(connection, now=now), account.email)
        row = {"email_hash": email_hash, "customer_id": account.customer_id}
        connection.execute(insert(mailbox).values(row).on_conflict_do_nothing())


def is_seen_without_account(connection: Connection, customer_id: CustomerId) -> bool:
    """Return whether Dust has seen the customer, and without an account."""
    query = select(customer_account.c.has_account).where(customer_account.c.customer_id == customer_id)
    return connection.scalar(query) is False


def seen_accounts(connection: Connection, customer_ids: Collection[CustomerId]) -> set[CustomerId]:
    """Return the customers among these whose account Dust has seen."""
    query = select(customer_account.c.customer_id).where(
        among(customer_account.c.customer_id, list(customer_ids)), customer_account.c.has_account
    )
    return {CustomerId(customer_id) for customer_id in connection.scalars(query)}


def accounts_with_fresh_mailbox(
    connection: Connection, accounts: Iterable[CustomerAccount], *, taken: set[bytes] | None = None, now: datetime
) -> set[CustomerId]:
    """Return the accounts that are the first of their mailbox, and those without an e-mail.

    Of several accounts with one mailbox the first in the sequence counts. `taken` are mailboxes that count as taken
    too; the mailboxes of `accounts` are added to it.
    """
    accounts, taken = list(accounts), set() if taken is None else taken
    key = email_hash_key(connection, now=now)
    hashes = {account.customer_id: hash_email(key, account.email) for account in accounts if account.email is not None}
    ids = [account.customer_id for account in accounts]
    known = set(
        connection.scalars(select(mailbox.c.email_hash).where(among(mailbox.c.email_hash, set(hashes.values()))))
    )
    first_accounts, seen = _first_accounts(connection, ids), seen_accounts(connection, ids)
    fresh = set()
    for account in accounts:
        customer_id, hashed = account.customer_id, hashes.get(account.customer_id)
        # An account that was seen before keeps what was decided then: its e-mail may have changed since.
        is_first = customer_id in first_accounts or (
            customer_id not in seen and hashed not in known and hashed not in taken
        )
        if hashed is None or is_first:
            fresh.add(customer_id)
        if hashed is not None:
            taken.add(hashed)
    return fresh


def is_later_account(connection: Connection, customer_id: CustomerId) -> bool:
    """Return whether Dust has seen the account and its mailbox had another account before."""
    seen = seen_accounts(connection, [customer_id])
    return bool(seen) and not _first_accounts(connection, [customer_id])


def has_one_mailbox(connection: Connection, emails: Iterable[str | None], *, now: datetime) -> bool:
    """Return whether these e-mails belong to one mailbox; False if one of them is unknown."""
    key = email_hash_key(connection, now=now)
    hashes = [hash_email(key, email) if email is not None else None for email in emails]
    return None not in hashes and len(set(hashes)) == 1


def unlink_mailboxes(connection: Connection, customer_ids: Iterable[CustomerId]) -> None:
    """Remove the links from mailboxes to these customers.

    The mailboxes stay stored as having had an account.
    """
    ids = list(customer_ids)
    connection.execute(update(mailbox).where(among(mailbox.c.customer_id, ids)).values(customer_id=None))


def _first_accounts(connection: Connection, customer_ids: Collection[CustomerId]) -> set[CustomerId]:
    """Return the accounts among these that are the first of a mailbox."""
    query = select(mailbox.c.customer_id).where(among(mailbox.c.customer_id, list(customer_ids)))
    return {CustomerId(customer_id) for customer_id in connection.scalars(query)}
