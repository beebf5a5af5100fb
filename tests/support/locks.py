"""Checks that every transaction takes its locks in one order. Then no two can wait for each other (a deadlock).

A deadlock needs two transactions at the same moment, which a test seldom hits; a wrong order shows in every run.
"""

import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
import pytest
from psycopg.pq import TransactionStatus

# Tables whose rows are waited for while others are held. Within a table rows are locked by id.
ORDER = (
    "import_batch",
    "webhook_event",
    "customer_account",
    "mailbox",
    "proved_email",
    "referral_code",
    "order_settlement",
    "guest_escrow",
    "expiry_announcement",
    "outgoing_webhook",
    "outgoing_sender",
    "dust_redemption",
    "referral",
    "dust_balance",
    "dust_product",
    "cart_forecast",
    "ledger_total",
    "last_run",
)
# They need no place in the order: only a transaction that already holds the parent row changes them (`dust_balance` for
# `dust_lot`).
GUARDED = {
    "dust_lot", "dust_redemption_code", "customer_merge", "guest_escrow_entry", "import_row", "email_key",
    "order_former_owner",
}  # fmt: skip
_SAVEPOINT = "SAVEPOINT "
# An inserted row is not visible to others yet. A row that conflicts with the insertion and is updated instead may be.
_LOCKS = re.compile(
    r"\s*(?:WITH\s.*?)?(?:UPDATE (\w+)|DELETE FROM (\w+)|LOCK TABLE (\w+)|INSERT INTO (\w+)\s.*DO UPDATE"
    r"|SELECT\s.*?\sFROM (\w+)\s.*FOR UPDATE)",
    re.DOTALL,
)


def lock(held: list[str], statement: str) -> str | None:
    """What is wrong with a statement of a transaction that has locked rows of `held`. Adds its table to `held`."""
    if statement.startswith(_SAVEPOINT):
        held.append(statement)
    elif (savepoint := statement.removeprefix("ROLLBACK TO ")) in held:
        # Locks taken since the savepoint are released.
        del held[held.index(savepoint) + 1 :]
    table = next(filter(None, match.groups()), None) if (match := _LOCKS.match(statement)) else None
    if table is None or table in held or table in GUARDED:
        return None
    before, waits = [earlier for earlier in held if not earlier.startswith(_SAVEPOINT)], "SKIP LOCKED" not in statement
    held.append(table)
    if before and (unknown := {*before, table} - set(ORDER)):
        return f"{', '.join(unknown)} has no place yet in the order of locks ({__name__})"
    if waits and any(ORDER.index(table) < ORDER.index(earlier) for earlier in before):
        return f"{table} is waited for while {', '.join(before)} is held"
    return None


@contextmanager
def lock_order_violations() -> Iterator[list[str]]:
    """Yields each violation of the order in this process, with its stack."""
    wrong: list[str] = []
    held: WeakKeyDictionary[psycopg.Connection[Any], list[str]] = WeakKeyDictionary()

    def look(cursor: psycopg.Cursor[Any], query: object) -> None:
        if cursor.connection.info.transaction_status == TransactionStatus.IDLE:
            held[cursor.connection] = []
        statement = query.decode() if isinstance(query, bytes) else str(query)
        problem = lock(held.setdefault(cursor.connection, []), statement)
        # SQL of the test itself is not checked.
        if problem and (way := own_stack(traceback.extract_stack())):
            wrong.append(f"{problem}: {way}")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("execute", "executemany"):
            patch.setattr(psycopg.Cursor, name, _after(look, getattr(psycopg.Cursor, name)))
        yield wrong


def _after(look: Callable[[psycopg.Cursor[Any], object], None], execute: Callable[..., Any]) -> Callable[..., Any]:
    def looked_at(cursor: psycopg.Cursor[Any], query: object, *args: Any, **more: Any) -> Any:
        look(cursor, query)
        return execute(cursor, query, *args, **more)

    return looked_at


def own_stack(stack: traceback.StackSummary) -> str:
    """The part of a stack that is Dust's own, outermost first. Migrations have rules of their own, and are left out."""
    own = [
        frame
        for frame in stack
        if {"bridge", "workers"} & set(Path(frame.filename).parts[-3:]) and "migrations" not in frame.filename
    ]
    return " > ".join(f"{Path(frame.filename).stem}.{frame.name}:{frame.lineno}" for frame in own)
