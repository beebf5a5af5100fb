"""Write to the ledger as redemptions, adjustments and sweeps do, and read what it holds."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, text

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId, new_id
from bridge.ledger.adjust import adjust_balance
from bridge.ledger.mature_and_expire import post_due_lots
from bridge.ledger.postings import Kind, PostingDetails
from bridge.ledger.store import open_accounts, reserved_lots, save, spent_lots
from bridge.ledger.tables import dust_lot
from tests.support.settling import balance


def points(*customer_ids: str) -> list[int]:
    """The balance of each customer."""
    return [balance(customer_id).balance for customer_id in customer_ids]


def spend(dust: int, customer_id: str = "cus_1") -> None:
    """Take points away with an adjustment; no order or redemption knows of it."""
    how = {"reason": "spent elsewhere", "description": "", "actor": "test", "idempotency_key": new_id("key")}
    with transaction() as connection:
        adjust_balance(connection, CustomerId(customer_id), -dust, **how, now=now())


def hold(dust: int, customer_id: str = "cus_1", redemption: str = "dred_1") -> None:
    _on_account(
        "hold", Kind.HOLD, customer_id, redemption, lambda account, details: account.hold(dust, details, now=now())
    )


def release(customer_id: str = "cus_1", redemption: str = "dred_1") -> None:
    with transaction() as connection:
        reserved = reserved_lots(connection, CustomerId(customer_id), redemption)
    _on_account(
        "release",
        Kind.RELEASE,
        customer_id,
        redemption,
        lambda account, details: account.release(reserved, details, now=now()),
    )


def capture(dust: int, customer_id: str = "cus_1", redemption: str = "dred_1") -> None:
    with transaction() as connection:
        reserved = reserved_lots(connection, CustomerId(customer_id), redemption)
    _on_account(
        "capture",
        Kind.REDEEM,
        customer_id,
        redemption,
        lambda account, details: account.redeem(dust, reserved, details, now=now()),
    )


def _on_account(description: str, kind: Kind, customer_id: str, redemption: str, do: Any) -> None:
    details = PostingDetails(
        kind=kind, reference_type="redemption", reference_id=redemption, description=description, event_at=now()
    )
    with transaction() as connection:
        account = open_accounts(connection, [CustomerId(customer_id)])[CustomerId(customer_id)]
        do(account, details)
        save(connection, [account])


def refund(dust: int, customer_id: str = "cus_1", redemption: str = "dred_1") -> None:
    """Give back points that a redemption has spent."""
    with transaction() as connection:
        spent = spent_lots(connection, CustomerId(customer_id), redemption)
        account = open_accounts(connection, [CustomerId(customer_id)], extra_lots=spent)[CustomerId(customer_id)]
        reference = {"reference_type": "redemption", "reference_id": redemption, "description": "given back"}
        account.refund(dust, spent, PostingDetails(kind=Kind.REFUND, event_at=now(), **reference), now=now())
        save(connection, [account])


def post_due() -> None:
    """Mature and expire the lots that are due, as the sweep does."""
    with transaction() as connection:
        post_due_lots(connection, now=now(), customers=100)


def lots(customer_id: str) -> Sequence[Any]:
    """What remains of each lot, when it matures and when it expires."""
    query = select(dust_lot.c.remaining, dust_lot.c.matures_at, dust_lot.c.expires_at).where(
        dust_lot.c.customer_id == customer_id, dust_lot.c.remaining > 0
    )
    with transaction() as connection:
        return sorted(tuple(row) for row in connection.execute(query))


def give(dust: int, customer_id: str = "cus_1") -> None:
    """Add points with an adjustment."""
    with transaction() as connection:
        adjust_balance(
            connection,
            CustomerId(customer_id),
            dust,
            reason="gift",
            description="gift",
            idempotency_key=new_id("key"),
            actor="test",
            now=now(),
        )


def stored_balances() -> dict[str, int]:
    """All balances but zero, by customer."""
    with transaction() as connection:
        rows = connection.execute(text("SELECT customer_id, balance FROM dust_balance WHERE balance <> 0"))
        return {row.customer_id: row.balance for row in rows}


def end_of_day(moment: datetime, days: int) -> datetime:
    """The last moment of the day (UTC) `days` days later. Points expire then."""
    next_day = (moment + timedelta(days=days + 1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return next_day - timedelta(microseconds=1)
