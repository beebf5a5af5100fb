"""The sign-up bonus."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, select

from bridge.db.bulk import among
from bridge.ids import CustomerId
from bridge.ledger.merges import persons_of
from bridge.ledger.postings import Kind, PostingDetails
from bridge.ledger.store import open_accounts, save
from bridge.ledger.tables import dust_transaction
from bridge.programme.dates import expiry
from bridge.programme.versions import current_version

# One per customer: the idempotency key is unique in the customer's ledger.
_SIGNUP_KEY = "bonus:signup"


def credit_signup_bonus(
    connection: Connection, customer_id: CustomerId, *, event_at: datetime, now: datetime, quiet: bool = False
) -> int:
    """Credit the programme's sign-up bonus unless this customer has had it; return the points credited.

    Merged accounts are one customer. The caller has checked that it is an account, and that its mailbox had no other
    account before (`accounts.py`).
    """
    version = current_version(connection)
    amount = version.programme.bonuses.signup
    if not amount:
        return 0
    account = open_accounts(connection, [customer_id], lots=False)[customer_id]
    if customers_with_signup_bonus(connection, [customer_id]):
        return 0
    details = PostingDetails(
        kind=Kind.BONUS,
        reference_type="customer",
        reference_id=customer_id,
        description="Welcome bonus",
        event_at=event_at,
        idempotency_key=_SIGNUP_KEY,
        programme_version=version.number,
    )
    account.earn(amount, details, now=now, expires_at=expiry(version.programme, event_at))
    save(connection, [account], quiet={customer_id} if quiet else ())
    return amount


def customers_with_signup_bonus(connection: Connection, customer_ids: Collection[CustomerId]) -> set[CustomerId]:
    """Return the customers among these who have had the bonus, with this account or one merged with it."""
    persons = persons_of(connection, customer_ids)
    query = select(dust_transaction.c.customer_id).where(
        among(dust_transaction.c.customer_id, persons),
        dust_transaction.c.idempotency_key == _SIGNUP_KEY,
    )
    credited = {persons[customer_id].id for customer_id in connection.scalars(query)}
    return {customer_id for customer_id in customer_ids if persons[customer_id].id in credited}
