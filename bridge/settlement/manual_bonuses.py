"""Bonuses that the shop gives manually, to one customer or to many at once."""

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, DateTime, Integer, Row, Table, Text, select
from sqlalchemy.dialects.postgresql import insert

from bridge.db import metadata
from bridge.db.bulk import among
from bridge.errors import KeyReused, field_error
from bridge.ids import CustomerId, new_id
from bridge.ledger.merges import one_account_each
from bridge.ledger.postings import MAX_DUST, Kind, PostingDetails
from bridge.ledger.store import open_accounts, save
from bridge.ledger.tables import dust_transaction
from bridge.programme.dates import expiry
from bridge.programme.rules import Programme
from bridge.programme.versions import current_version

MAX_CUSTOMERS = 1000
MAX_DAYS = 36_500
_DESCRIPTION = "A bonus from the shop"

# One row per bonus, for any number of customers: their ledger entries refer to it.
dust_bonus = Table(
    "dust_bonus",
    metadata,
    Column("id", Text, primary_key=True),
    Column("idempotency_key", Text, nullable=False, unique=True),
    # Hash of the whole request, so that the same key with a different request is detected.
    Column("request_hash", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("customers", Integer, nullable=False),
    Column("matures_at", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True)),
    Column("actor", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class NewBonus:
    """A request to give a bonus.

    `amount` is in points, for each customer. Customers see the `description`; the `reason` is for the shop only.
    Without `expires_after_days` it expires as earned points do by the programme.
    """

    customer_ids: tuple[CustomerId, ...]
    amount: int
    reason: str
    description: str
    expires_after_days: int | None = None
    matures_after_days: int = 0

    def fingerprint(self) -> str:
        content = {**asdict(self), "customer_ids": sorted(set(self.customer_ids))}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Bonus:
    """A bonus that was given: its own row, and one ledger transaction per customer, ordered by customer."""

    row: Row[Any]
    transactions: tuple[Row[Any], ...]


def give_bonus(
    connection: Connection, new_bonus: NewBonus, *, idempotency_key: str, actor: str, now: datetime
) -> Bonus:
    """Give the bonus to all customers in one transaction, once to each person: merged accounts are one.

    With the same key and request, returns the first result. Raises `KeyReused`, `FieldErrors`.
    """
    _check(new_bonus)
    version = current_version(connection)
    customers = one_account_each(connection, new_bonus.customer_ids)
    given = connection.execute(
        insert(dust_bonus)
        .values(
            id=new_id("dbon"),
            idempotency_key=idempotency_key,
            request_hash=new_bonus.fingerprint(),
            amount=new_bonus.amount,
            reason=new_bonus.reason,
            description=new_bonus.description or _DESCRIPTION,
            customers=len(customers),
            matures_at=now + timedelta(days=new_bonus.matures_after_days) if new_bonus.matures_after_days else None,
            expires_at=expiry(version.programme, now, new_bonus.expires_after_days),
            actor=actor,
            created_at=now,
        )
        # A concurrent request with the same key waits here until the other transaction ends.
        .on_conflict_do_nothing(index_elements=["idempotency_key"])
        .returning(dust_bonus)
    ).one_or_none()
    if given is None:
        return _given_before(connection, new_bonus, idempotency_key)
    # Not before: a repeated request gets the first result, whatever the programme says now.
    _check_expiry(new_bonus, version.programme)
    accounts = open_accounts(connection, customers, lots=False)
    for account in (accounts[customer_id] for customer_id in sorted(customers)):
        details = PostingDetails(
            kind=Kind.BONUS,
            reference_type="bonus",
            reference_id=given.id,
            description=given.description,
            event_at=now,
            actor=actor,
            idempotency_key=f"bonus:{given.id}",
            programme_version=version.number,
        )
        account.earn(given.amount, details, now=now, matures_at=given.matures_at, expires_at=given.expires_at)
    save(connection, accounts.values())
    return Bonus(row=given, transactions=_transactions(connection, given.id, new_bonus.customer_ids))


def _check(new_bonus: NewBonus) -> None:
    if not 0 < new_bonus.amount <= MAX_DUST:
        raise field_error("amount", f"must be a whole number between 1 and {MAX_DUST}")
    if not 0 < len(new_bonus.customer_ids) <= MAX_CUSTOMERS:
        raise field_error("customer_ids", f"name 1 to {MAX_CUSTOMERS} customers")
    if new_bonus.expires_after_days is not None and new_bonus.expires_after_days <= new_bonus.matures_after_days:
        raise field_error("expires_after_days", "must be more than matures_after_days, or nobody could spend it")


def _check_expiry(new_bonus: NewBonus, programme: Programme) -> None:
    """Check that a bonus that expires as earned points do matures before that."""
    days = programme.earn.expires_after_days
    if new_bonus.expires_after_days is None and days is not None and days <= new_bonus.matures_after_days:
        raise field_error(
            "matures_after_days",
            f"must be less than the {days} days after which points expire by the programme (earn.expires_after_days), "
            "or nobody could spend it; or say expires_after_days",
        )


def _given_before(connection: Connection, new_bonus: NewBonus, idempotency_key: str) -> Bonus:
    row = connection.execute(select(dust_bonus).where(dust_bonus.c.idempotency_key == idempotency_key)).one()
    if row.request_hash != new_bonus.fingerprint():
        raise KeyReused
    return Bonus(row=row, transactions=_transactions(connection, row.id, new_bonus.customer_ids))


def _transactions(connection: Connection, bonus_id: str, customer_ids: Collection[CustomerId]) -> tuple[Row[Any], ...]:
    query = select(dust_transaction).where(
        among(dust_transaction.c.customer_id, customer_ids),
        # The transaction that matures the lot refers to the bonus too.
        dust_transaction.c.idempotency_key == f"bonus:{bonus_id}",
    )
    return tuple(connection.execute(query.order_by(dust_transaction.c.customer_id)))
