"""Close each day: keep what was owed at its end, with a digest of the whole book.

The digest covers the newest row's hash of every customer, and each hash covers all rows before it; so whoever keeps a
digest outside this database can prove later that nothing that was booked until then has been rewritten.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, select, text
from sqlalchemy.dialects.postgresql import insert

from bridge.ledger.account import GENESIS
from bridge.reports.liability import Liability, liability
from bridge.reports.tables import daily_close

# No transaction lives as long: what carries a time of the day before is committed by then.
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
    """The liability at the end of `day` (UTC), as it was kept. `digest` is hexadecimal."""

    day: date
    liability: Liability
    digest: str
    closed_at: datetime


def close_days(connection: Connection, *, now: datetime) -> list[date]:
    """Close every day that is over and has not been closed; the days. The first close ever is that of yesterday.

    While another one is at it, nothing is done.
    """
    if not connection.scalar(text("SELECT pg_try_advisory_xact_lock(hashtext('daily_close'))")):
        return []
    # A large book takes longer to read than a request may.
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    newest = _newest(connection)
    day = newest.day + timedelta(days=1) if newest else _last_day_over(now)
    closed = []
    while day <= _last_day_over(now):
        _close(connection, day, now)
        closed.append(day)
        day += timedelta(days=1)
    return closed


def list_closes(connection: Connection, *, limit: int, before: date | None = None) -> list[Close]:
    """The newest first."""
    query = select(daily_close).order_by(daily_close.c.day.desc()).limit(limit)
    if before is not None:
        query = query.where(daily_close.c.day < before)
    return [_read(row) for row in connection.execute(query)]


def differences(connection: Connection, close: Close) -> Iterator[str]:
    """Where the books of today no longer say what was kept of that day; nothing, if nobody has rewritten them."""
    found = liability(connection, _end_of(close.day))
    for name, kept in vars(close.liability).items():
        if kept != getattr(found, name):
            yield f"{name} was {kept}, the book now says {getattr(found, name)}"
    digest = _digest(connection, close.day)
    if digest.hex() != close.digest:
        yield f"the digest was {close.digest}, the book now gives {digest.hex()}"


def newest_close(connection: Connection) -> Close | None:
    row = _newest(connection)
    return _read(row) if row else None


def _close(connection: Connection, day: date, now: datetime) -> None:
    found = liability(connection, _end_of(day))
    figures = {name: value for name, value in vars(found).items() if name != "at"}
    figures["value"] = {code: str(amount) for code, amount in found.value.items()}
    connection.execute(
        insert(daily_close), {"day": day, **figures, "digest": _digest(connection, day), "closed_at": now}
    )


def _digest(connection: Connection, day: date) -> bytes:
    before = select(daily_close.c.digest).where(daily_close.c.day < day).order_by(daily_close.c.day.desc()).limit(1)
    whole = hashlib.sha256(connection.scalar(before) or GENESIS)
    in_pieces = {"stream_results": True, "yield_per": _ROWS_AT_ONCE}
    for row in connection.execute(_HEADS, {"at": _end_of(day)}, execution_options=in_pieces):
        whole.update(row.customer_id.encode() + b"\x00" + row.hash)
    return whole.digest()


def _newest(connection: Connection) -> Row[Any] | None:
    return connection.execute(select(daily_close).order_by(daily_close.c.day.desc()).limit(1)).one_or_none()


def _read(row: Row[Any]) -> Close:
    figures = {name: row._mapping[name] for name in _FIGURES}
    value = {code: Decimal(amount) for code, amount in row.value.items()}
    return Close(
        day=row.day,
        liability=Liability(at=_end_of(row.day), value=value, **figures),
        digest=row.digest.hex(),
        closed_at=row.closed_at,
    )


_FIGURES = (
    "outstanding",
    "owed_by_customers",
    "held",
    "pending",
    "escrow",
    "customers",
    "movements",
    "programme_version",
)


def _last_day_over(now: datetime) -> date:
    return (now.astimezone(UTC) - _GRACE).date() - timedelta(days=1)


def _end_of(day: date) -> datetime:
    """The last moment of the day that a row's time can have."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1, microseconds=-1)
