"""Databases for tests: new copies of a migrated database, or one copy that is emptied and reused."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, QueuePool, StaticPool, create_engine, text

from bridge.db import dispose_engine, driver_url, get_engine, make_engine, transaction
from bridge.operations.audit import Breach, find_breaches
from bridge.settings import get_settings

NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"

_numbers = itertools.count()

# Changes with every change to the schema, its rights and settings, and with every ANALYZE. Each catalog row holds the
# transaction that wrote it.
_SCHEMA = "SELECT {}, (SELECT sum(reltuples) FROM pg_class WHERE relnamespace = 'public'::regnamespace), {}".format(
    ", ".join(
        f"(SELECT (count(*), sum(xmin::text::bigint))::text FROM {catalog})"
        for catalog in (
            "pg_class", "pg_attribute", "pg_index", "pg_constraint", "pg_trigger", "pg_proc", "pg_type", "pg_namespace",
        )
    ),
    "(SELECT string_agg(version_num, ' ') FROM alembic_version)",
)  # fmt: skip
# With the size of each table that has ever had a row.
_USED_TABLES = """
    SELECT relname, pg_relation_size(oid) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
      AND pg_relation_size(oid) > 0
"""
# The planner takes a table without statistics for at least this large, so up to here its plans are those of a new one.
_PLANNED_BYTES = 10 * 8192


class ReusedDatabase:
    """A copy of a migrated database that is emptied after each test: 5 ms instead of 200 for another copy.

    If the test changed the schema, or the database cannot be emptied, the next test gets a new copy.
    """

    def __init__(self, template: str) -> None:
        self._template = template
        self._url: str | None = None
        self._connection: psycopg.Connection[Any] | None = None
        self._engine: Engine | None = None
        self._engine_of_dust: Engine | None = None
        self._schema: Any = None

    @contextmanager
    def borrowed(self) -> Iterator[str]:
        """The URL of the database, empty. Within the block it belongs to one test."""
        if self._url is None or self._connection is None:
            self._url = create_copy(self._template)
            self._connection = connection = psycopg.connect(self._url)
            self._engine = create_engine(driver_url(self._url), creator=lambda: connection, poolclass=StaticPool)
            with self._connection.transaction():
                self._schema = self._connection.execute(_SCHEMA).fetchone()
        try:
            yield self._url
        finally:
            if not self._empty(self._connection):
                self.drop()

    @contextmanager
    def engine_reused(self) -> Iterator[None]:
        """Keep Dust's connections of the last test in this process, because Postgres has cached its catalogs there.

        They are not kept if a test disposes of the engine or returns a connection late.
        """
        assert self._url is not None
        kept = self._engine_of_dust or make_engine(self._url)
        self._engine_of_dust = None
        get_engine._values[os.getpid()] = kept
        yield
        used = get_engine.clear()
        if used is kept and isinstance(kept.pool, QueuePool) and not kept.pool.checkedout():
            self._engine_of_dust = kept
        elif used:
            used.dispose()

    def breaches(self) -> list[Breach]:
        """As `audit`, on the connection that is kept: Postgres has prepared the queries there, which saves 70 %."""
        assert self._engine is not None
        with self._engine.connect() as connection:
            return find_breaches(connection)

    def drop(self) -> None:
        if self._engine_of_dust is not None:
            self._engine_of_dust.dispose()
            self._engine_of_dust = None
        if self._connection is not None:
            self._connection.close()
        if self._url is not None:
            drop_database(self._url)
        self._url = self._connection = None

    def _empty(self, connection: psycopg.Connection[Any]) -> bool:
        """Whether the database equals a new copy."""
        with suppress(psycopg.Error), connection.transaction():
            # Connections that the test left open, less those of `engine_reused`; Postgres ends them as
            # `DROP DATABASE … WITH (FORCE)` would.
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database()"
                " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
                " AND (application_name <> 'dust' OR state <> 'idle')"
            )
            if connection.execute(_SCHEMA).fetchone() != self._schema:
                return False
            # The ledger takes no deletions, and its tables refer to each other.
            connection.execute("SET LOCAL session_replication_role = replica")
            used = connection.execute(_USED_TABLES).fetchall()
            for table, _ in used:
                connection.execute(f'DELETE FROM "{table}"')
            if large := ", ".join(f'"{table}"' for table, size in used if size >= _PLANNED_BYTES):
                connection.execute(f"TRUNCATE {large} CASCADE")
                self._schema = connection.execute(_SCHEMA).fetchone()
            connection.execute("SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'")
            return True
        return False


def create_copy(template: str) -> str:
    """The URL of a new copy of this database."""
    name = f"{template.rpartition('/')[2]}_{next(_numbers)}"
    with psycopg.connect(on_server(template, "postgres"), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template.rpartition("/")[2]}"')
    return on_server(template, name)


def drop_database(url: str) -> None:
    """Drop the database, even while it is in use."""
    with psycopg.connect(on_server(url, "postgres"), autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{url.rpartition("/")[2]}" WITH (FORCE)')


def on_server(url: str, name: str) -> str:
    """The URL of the database `name` on the same server."""
    return f"{url.rpartition('/')[0]}/{name}"


@contextmanager
def lost_database(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Inside the block Postgres cannot be reached."""
    with at_database(NOWHERE, monkeypatch):
        yield


@contextmanager
def at_database(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Inside the block Dust's code in this process uses another database."""
    with monkeypatch.context() as patch:
        patch.setenv("DUST_DATABASE_URL", url)
        _look_again()
        yield
    _look_again()


def _look_again() -> None:
    get_settings.cache_clear()
    dispose_engine()


def waiting_for_locks(database_url: str) -> int:
    """How many connections of this database wait for another transaction."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(database_url) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def deadlocks(url: str) -> int:
    """Deadlocks that Postgres has found in this database so far."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])


def count(query: str) -> int:
    with transaction() as connection:
        return int(connection.scalar(text(query)) or 0)
