"""Daily closes: store what was owed at the end of each day, with a digest of the whole ledger.

The digest covers the hash of every customer's newest row, and each hash covers all rows before it. A merchant who keeps
a digest outside this database can prove later that no earlier row has been rewritten.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, select, text
from sqlalchemy.dialects.postgresql import insert

from bridge.db.advisory_locks import try_lock_name
from bridge.ledger.postings import GENESIS
from bridge.programme.days import end_of_day
from bridge.programme.shop_currencies import load_currencies
from bridge.reports.liability import Liability, liability
from bridge.reports.tables import daily_close

# No transaction takes this long: all rows with a time of the day before are committed by then.
_GRACE = timedelta(minutes=10)
_ROWS_AT_ONCE = 5_000
_HEADS = text(
    """
    SELECT DISTINCT ON (customer_id) customer_id, hash
    FROM dust_transaction WHERE created_at <= :at ORDER BY customer_id, version DESC
    """
)


@dataclass(frozen=True, kw_only=True)
class Close:
    """The stored liability at the end of `day` (UTC). `digest` is hexadecimal."""

    day: date
    liability: Liability
    digest: str
    closed_at: datetime


def close_days(connection: Connection, *, now: datetime, limit: int | None = None) -> list[date]:
    """Close every past day that is not closed yet, up to `limit`, and return these days. The first close is that of
    yesterday.

    It does nothing while another process closes days.
    """
    if not try_lock_name(connection, "daily_close"):
        return []
    # Reading a large ledger takes longer than the timeout for requests.
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    newest = newest_close(connection)
    day = newest.day + timedelta(days=1) if newest else _last_day_over(now)
    closed: list[date] = []
    while day <= _last_day_over(now) and (limit is None or len(closed) < limit):
        _close(connection, day, now)
        closed.append(day)
        day += timedelta(days=1)
    return closed


def list_closes(connection: Connection, *, limit: int | None = None, before: date | None = None) -> list[Close]:
    """List closes, newest first; all of them without a limit."""
    # Their values are shown in the currencies' decimals.
    load_currencies(connection)
    query = select(daily_close).order_by(daily_close.c.day.desc()).limit(limit)
    if before is not None:
        query = query.where(daily_close.c.day < before)
    return [_read(row) for row in connection.execute(query)]


def differences(connection: Connection, close: Close) -> Iterator[str]:
    """Yield the differences between a stored close and the present ledger; none if no row has been rewritten."""
    report = liability(connection, end_of_day(close.day, "UTC"))
    for name, kept in vars(close.liability).items():
        if kept != getattr(report, name):
            yield f"{name} was {kept}, the ledger now has {getattr(report, name)}"
    digest = _digest(connection, close.day)
    if digest.hex() != close.digest:
        yield f"the digest was {close.digest}, the ledger now gives {digest.hex()}"


def newest_close(connection: Connection) -> Close | None:
    return next(iter(list_closes(connection, limit=1)), None)


def _close(connection: Connection, day: date, now: datetime) -> None:
    report = liability(connection, end_of_day(day, "UTC"))
    figures = {name: value for name, value in vars(report).items() if name != "at"}
    figures["value"] = {code: str(amount) for code, amount in report.value.items()}
    connection.execute(
        insert(daily_close), {"day": day, **figures, "digest": _digest(connection, day), "closed_at": now}
    )


def _digest(connection: Connection, day: date) -> bytes:
    before = select(daily_close.c.digest).where(daily_close.c.day < day).order_by(daily_close.c.day.desc()).limit(1)
    digest = hashlib.sha256(connection.scalar(before) or GENESIS)
    in_pieces = {"stream_results": True, "yield_per": _ROWS_AT_ONCE}
    for row in connection.execute(_HEADS, {"at": end_of_day(day, "UTC")}, execution_options=in_pieces):
        digest.update(row.customer_id.encode() + b"\x00" + row.hash)
    return digest.digest()


def _read(row: Row[Any]) -> Close:
    value = {code: Decimal(amount) for code, amount in row.value.items()}
    return Close(
        day=row.day,
        liability=Liability.from_row(row, at=end_of_day(row.day, "UTC"), value=value),
        digest=row.digest.hex(),
        closed_at=row.closed_at,
    )


def _last_day_over(now: datetime) -> date:
    return (now.astimezone(UTC) - _GRACE).date() - timedelta(days=1)
