"""The statement that a customer sees: transactions that moved the balance, and points that are still pending.

The amounts of all `booked` entries add up to the balance, those of all `pending` entries to the pending points. A
transaction that booked a part and left a part pending has an entry of each state. When points mature, a booked entry
replaces their pending one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, text

from bridge.db.rows import TypedRow
from bridge.ids import CustomerId


class EntryState(StrEnum):
    PENDING = "pending"
    BOOKED = "booked"


@dataclass(frozen=True, kw_only=True)
class StatementEntry(TypedRow):
    """A transaction, or its points that are still pending. `position` orders a customer's entries."""

    position: int
    state: EntryState
    id: str
    amount: int
    kind: str
    reference_type: str
    reference_id: str
    order_id: str | None
    """The order that the points of a redemption were spent on or given back for."""
    description: str
    balance_after: int
    matures_at: datetime | None
    """When the first of the pending points mature; None: when their order is paid, or not pending."""
    expires_at: datetime | None
    """When the first of the points that are left of a credit expire."""
    event_at: datetime
    created_at: datetime


# A version's booked entry comes before its pending one: positions 2n + 1 and 2n. Both parts are limited on their own,
# so that a page of a long statement reads few rows.
_ENTRIES = text(
    """
    WITH booked AS (
        SELECT t.* FROM dust_transaction t
        WHERE t.customer_id = :customer AND t.amount <> 0 AND t.version <= :last_version
        ORDER BY t.version DESC LIMIT :limit + 1
    ), pending AS (
        SELECT l.origin_version, sum(l.remaining)::bigint AS amount,
               min(l.matures_at) AS matures_at, min(l.expires_at) AS expires_at
        FROM dust_lot l
        WHERE l.customer_id = :customer AND l.remaining > 0 AND NOT l.matured AND l.origin_version <= :last_version
        GROUP BY l.origin_version ORDER BY l.origin_version DESC LIMIT :limit + 1
    ), entries AS (
        SELECT 2 * t.version + 1 AS position, true AS booked, t.id, t.amount, t.kind, t.reference_type, t.reference_id,
               t.order_id, t.description, t.balance_after, NULL::timestamptz AS matures_at, left_over.expires_at,
               t.event_at, t.created_at
        FROM booked t
        LEFT JOIN LATERAL (
            SELECT min(l.expires_at) AS expires_at
            FROM dust_lot_use u JOIN dust_lot l ON l.customer_id = u.customer_id AND l.id = u.lot_id
            WHERE t.amount > 0 AND u.customer_id = t.customer_id AND u.version = t.version AND l.remaining > 0
              AND (u.remaining > 0 OR t.kind = 'mature')
        ) left_over ON true
        UNION ALL
        SELECT 2 * t.version, false, t.id, p.amount, t.kind, t.reference_type, t.reference_id,
               t.order_id, t.description, t.balance_after, p.matures_at, p.expires_at, t.event_at, t.created_at
        FROM pending p JOIN dust_transaction t ON t.customer_id = :customer AND t.version = p.origin_version
    )
    SELECT * FROM entries WHERE position < :before ORDER BY position DESC LIMIT :limit
    """
)
_NEWEST = 2**62


def read_statement(
    connection: Connection, customer_id: CustomerId, *, limit: int, before: int | None = None
) -> Sequence[StatementEntry]:
    """Return the customer's entries, newest first, from below the position `before`."""
    before = _NEWEST if before is None else before
    values = {"customer": customer_id, "limit": limit, "before": before, "last_version": before // 2}
    return [
        StatementEntry.from_row(row, state=EntryState.BOOKED if row.booked else EntryState.PENDING)
        for row in connection.execute(_ENTRIES, values)
    ]
