"""Undo an import: take back its points, up to 500 customers per transaction.

Each step locks the import and marks the rows that it has taken back, so concurrent and killed runs have the effect of
one.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, select, update

from bridge.db.bulk import among, update_rows
from bridge.ids import CustomerId
from bridge.imports.batches import REFERENCE, ROWS_AT_ONCE, lock_batch, set_state
from bridge.imports.tables import BatchState, RowState, import_row
from bridge.ledger.account import Account
from bridge.ledger.merges import ever_merged_with
from bridge.ledger.postings import Kind, PostingDetails
from bridge.ledger.store import open_accounts, save
from bridge.programme.versions import current_version
from bridge.settlement.expired_points import count_expired, read_pools


@dataclass(frozen=True, kw_only=True)
class UndoneCustomer:
    """One customer's part of an undo.

    `dust` are the points taken back. `gone` are points of the import that were spent or on hold (not expired): other
    points or the balance replaced them, except for `waived`, which the programme's policy left with the customer.
    """

    customer_id: CustomerId
    dust: int
    expired: int
    gone: int
    waived: int
    balance: int


def undo_some(connection: Connection, batch_id: str, *, actor: str, now: datetime) -> list[UndoneCustomer]:
    """Take back the points of the next customers, up to `ROWS_AT_ONCE`; an empty list means that the batch is undone.

    Expired points are not taken a second time. Spent points are taken from the customer's other points,
    and then from the balance as far as the programme's `reversal.negative_balance` allows.
    """
    batch = lock_batch(connection, batch_id)
    if batch.state == BatchState.UNDONE:
        return []
    set_state(connection, batch, BatchState.UNDOING, now=now)
    in_batch = import_row.c.batch_id == batch_id
    connection.execute(
        update(import_row).where(in_batch, import_row.c.state == RowState.WAITING).values(state=RowState.DROPPED)
    )
    posted = in_batch & (import_row.c.state == RowState.POSTED)
    rows = _next_rows(connection, posted)
    if not rows:
        set_state(connection, batch, BatchState.UNDONE, now=now)
        return []
    customer_ids = [customer_id for customer_id, _, _ in rows]
    accounts = open_accounts(connection, customer_ids, expired_of=[batch_id])
    pools = read_pools(connection, accounts, now=now)
    details = PostingDetails(
        kind=Kind.REVERSE,
        reference_type=REFERENCE,
        reference_id=batch_id,
        description="Import undone",
        event_at=now,
        actor=actor,
        idempotency_key=f"import:{batch_id}:undo",
    )
    policy = current_version(connection).programme.reversal.negative_balance
    undone = []
    changed = []
    counted: Counter[CustomerId] = Counter()
    for customer_id, amount, first_line in rows:
        account = accounts[customer_id]
        expired = count_expired(amount, batch_id, account, counted, pools.get(customer_id), now=now)
        dust = amount - expired
        gone = max(0, dust - _unspent(account, batch_id))
        taken = account.reverse(dust, details, now=now, policy=policy) if dust else 0
        figures = {"expired": expired, "gone": gone}
        waived, balance = dust - taken, account.balance
        undone.append(UndoneCustomer(customer_id=customer_id, dust=taken, waived=waived, balance=balance, **figures))
        changed.append({"batch_id": batch_id, "line": first_line, "taken_back": taken, **figures})
    save(connection, accounts.values())
    now_undone = update(import_row).where(posted, among(import_row.c.customer_id, customer_ids))
    connection.execute(now_undone.values(state=RowState.UNDONE))
    update_rows(connection, import_row, changed, key=("batch_id", "line"))
    return undone


def _next_rows(connection: Connection, posted: ColumnElement[bool]) -> list[tuple[CustomerId, int, int]]:
    """Return the next customers of the `posted` rows, with their points in whole and their first line.

    Accounts that were ever merged come together: their points may have expired together, and count once.
    """
    customer_id = import_row.c.customer_id
    next_ids = connection.scalars(
        select(customer_id).distinct().where(posted).order_by(customer_id).limit(ROWS_AT_ONCE)
    )
    together = ever_merged_with(connection, [CustomerId(next_id) for next_id in next_ids])
    query = select(customer_id, func.sum(import_row.c.amount), func.min(import_row.c.line))
    rows = connection.execute(query.where(posted, among(customer_id, together)).group_by(customer_id))
    return sorted((CustomerId(row[0]), int(row[1]), row[2]) for row in rows)


def _unspent(account: Account, batch_id: str) -> int:
    """Return the points of a batch that the customer still has and that are not on hold."""
    lots = (lot for holder in account.holders for lot in holder.lots.values() if lot.source_id == batch_id)
    return sum(lot.remaining - lot.held for lot in lots)
