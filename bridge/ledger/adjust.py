"""Manual corrections of a balance by the shop, with a reason."""

from datetime import datetime

from sqlalchemy import Connection

from bridge.errors import KeyReused, field_error
from bridge.ids import CustomerId
from bridge.ledger.postings import MAX_DUST, Kind, PostingDetails, Transaction
from bridge.ledger.store import open_accounts, save, transaction_at, transaction_by_key

ADJUSTMENT = "adjustment"
"""The `reference_type` of an adjustment. Its `reference_id` is the reason, which is for the shop only."""
_DESCRIPTION = "Correction by the shop"


def adjust_balance(
    connection: Connection,
    customer_id: CustomerId,
    amount: int,
    *,
    reason: str,
    description: str = "",
    idempotency_key: str,
    actor: str,
    now: datetime,
) -> Transaction:
    """Credit or debit `amount` points and return the transaction; the same key and content return the first one.

    `reason` is for the shop only. `description` is shown to the customer.

    Raises `InsufficientDust` if a debit exceeds the available points, `KeyReused`, `FieldErrors`.
    """
    if not 0 < abs(amount) <= MAX_DUST:
        raise field_error("amount", f"must be a whole number between 1 and {MAX_DUST}, or the same below zero")
    description = description or _DESCRIPTION
    account = open_accounts(connection, [customer_id])[customer_id]
    key = f"adjust:{idempotency_key}"
    earlier = transaction_by_key(connection, customer_id, key)
    if earlier is not None:
        if (earlier.amount, earlier.reference_id, earlier.description) != (amount, reason, description):
            raise KeyReused
        return earlier
    details = PostingDetails(
        kind=Kind.ADJUST,
        reference_type=ADJUSTMENT,
        reference_id=reason,
        description=description,
        event_at=now,
        actor=actor,
        idempotency_key=key,
    )
    account.adjust(amount, details, now=now)
    # Expired lots may have been posted first; the adjustment is the last row.
    version = account.version
    save(connection, [account])
    return transaction_at(connection, customer_id, version)
