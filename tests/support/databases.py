"""Another database than the test's own, none at all, and who waits in one."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from bridge.db import forget_engine
from bridge.settings import get_settings

NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"


@contextmanager
def lost_database(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Postgres is not where it was, for as long as the block lasts."""
    with at_database(NOWHERE, monkeypatch):
        yield


@contextmanager
def at_database(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Dust's code in this process works with another database, for as long as the block lasts."""
    with monkeypatch.context() as patch:
        patch.setenv("DUST_DATABASE_URL", url)
        _look_again()
        yield
    _look_again()


def _look_again() -> None:
    get_settings.cache_clear()
    forget_engine()


def waiting_for_locks(database_url: str) -> int:
    """How many are kept waiting in this database by somebody else's transaction."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(database_url) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])
