"""Export the ledger as rows for CSV, in the columns of the plain preset, so that it can be imported elsewhere.

Rows are streamed, so that a million of them need no more memory than one.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, or_, select

from bridge.ledger.tables import dust_balance, dust_lot, dust_transaction

_ROWS_AT_ONCE = 2_000

Cells = tuple[str | int, ...]


def balances(connection: Connection) -> Iterator[Cells]:
    """Yield the column names, then a row per customer, by id. An import reads only `balance`."""
    yield ("customer_id", "balance", "held", "pending")
    columns = dust_balance.c
    query = select(columns.customer_id, columns.balance, columns.held, columns.pending).where(columns.version > 0)
    yield from _rows(connection, query.order_by(columns.customer_id))


def lots(connection: Connection) -> Iterator[Cells]:
    """Yield the column names, then a row per lot with points left, by customer and expiry.

    Lots with the same dates are one row. A customer's debt is in no lot, and points on hold are included. Points that
    are pending until their order is paid are left out, because another shop could not know when that is.
    """
    yield ("customer_id", "amount", "earned_at", "matures_at", "expires_at")
    lot, row = dust_lot.c, dust_transaction.c
    query = (
        select(
            lot.customer_id,
            func.sum(lot.remaining).label("amount"),
            row.event_at.label("earned_at"),
            lot.matures_at,
            lot.expires_at,
        )
        .join(dust_transaction, (row.customer_id == lot.customer_id) & (row.version == lot.origin_version))
        .where(lot.remaining > 0, or_(lot.matured, lot.matures_at.is_not(None)))
        .group_by(lot.customer_id, row.event_at, lot.matures_at, lot.expires_at)
        .order_by(lot.customer_id, lot.expires_at.nulls_last(), row.event_at, lot.matures_at)
    )
    yield from _rows(connection, query)


def transactions(connection: Connection) -> Iterator[Cells]:
    """Yield the column names, then every ledger row, by customer and version."""
    names = (
        "customer_id", "version", "id", "type", "kind", "amount", "held", "pending", "balance_after", "reference_type",
        "reference_id", "description", "actor", "event_at", "created_at",
    )  # fmt: skip
    yield names
    query = select(*(dust_transaction.c[name] for name in names))
    yield from _rows(connection, query.order_by(dust_transaction.c.customer_id, dust_transaction.c.version))


def _rows(connection: Connection, query: Select[Any]) -> Iterator[Cells]:
    for row in connection.execution_options(stream_results=True, yield_per=_ROWS_AT_ONCE).execute(query):
        yield tuple(_cell(value) for value in row)


def _cell(value: Any) -> str | int:
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, datetime) else value
