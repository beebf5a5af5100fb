"""Advisory locks of Postgres, by name. Each is held until the transaction ends."""

from collections.abc import Iterable

from sqlalchemy import Connection, text

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest(CAST(:names AS text[])) AS name")
_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")


def lock_names(connection: Connection, names: Iterable[str]) -> None:
    """Wait for these locks. They are taken in sorted order, so that two transactions cannot deadlock."""
    if ordered := sorted(set(names)):
        connection.execute(_LOCK, {"names": ordered})


def try_lock_name(connection: Connection, name: str) -> bool:
    """Take the lock if no other transaction has it; False if one has."""
    return bool(connection.scalar(_TRY_LOCK, {"name": name}))
