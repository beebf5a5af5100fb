"""The shop's currencies as Medusa last returned them, stored for when Medusa is unavailable."""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

import structlog
from sqlalchemy import Column, Connection, DateTime, SmallInteger, Table, Text, func, select
from sqlalchemy.dialects.postgresql import insert

from bridge.db import metadata
from bridge.errors import Conflict, FieldErrors, NotFound, Unavailable
from bridge.medusa.client import Medusa
from bridge.medusa.currencies import use_currencies
from bridge.programme.rules import Programme

log = structlog.get_logger(__name__)

currency = Table(
    "currency",
    metadata,
    Column("code", Text, primary_key=True),
    Column("decimal_digits", SmallInteger, nullable=False),
    Column("learned_at", DateTime(timezone=True), nullable=False),
)

# Another process may have stored newer currencies.
_RELOAD_SECONDS = 60.0
_reload_at = 0.0


def load_currencies(connection: Connection) -> None:
    """Load the stored currencies into this process. Reads the table once a minute."""
    global _reload_at
    if time.monotonic() < _reload_at:
        return
    use_currencies({row.code: row.decimal_digits for row in connection.execute(select(currency))})
    _reload_at = time.monotonic() + _RELOAD_SECONDS


def reset_currencies() -> None:
    """Use Medusa's built-in currencies until the table is read again."""
    global _reload_at
    use_currencies({})
    _reload_at = 0.0


def save_currencies(connection: Connection, digits: Mapping[str, int], *, now: datetime) -> None:
    """Store Medusa's currencies.

    A currency that Medusa no longer has keeps its last figure, as old orders may be in it.
    """
    rows = [{"code": code, "decimal_digits": number, "learned_at": now} for code, number in sorted(digits.items())]
    if rows:
        query = insert(currency)
        changed = {"decimal_digits": query.excluded.decimal_digits, "learned_at": query.excluded.learned_at}
        connection.execute(query.on_conflict_do_update(index_elements=["code"], set_=changed), rows)
    global _reload_at
    _reload_at = 0.0
    load_currencies(connection)


def ask_currencies(medusa: Callable[[], Medusa]) -> dict[str, int] | None:
    """Return Medusa's currencies; None if it cannot be asked, so that only the form of a code can be checked."""
    try:
        return medusa().currencies() or None
    except (Unavailable, NotFound, Conflict) as error:
        log.warning("currencies_not_learned", reason=error.message)
        return None


def learned_at(connection: Connection) -> datetime | None:
    """Return when currencies were last read from Medusa; None if never."""
    moment: datetime | None = connection.scalar(select(func.max(currency.c.learned_at)))
    return moment


def require_currencies(programme: Programme, known: Iterable[str]) -> None:
    """Raise `FieldErrors` for each field with a currency that the shop does not have."""
    shop = frozenset(known)
    unknown = [
        {"field": field, "message": f"{code!r} is not a currency of the shop: Medusa does not have it"}
        for field, code in programme.currencies()
        if code not in shop
    ]
    if unknown:
        raise FieldErrors(unknown)
