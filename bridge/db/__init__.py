"""The database: one engine for each process, and `transaction()`, the only way in.

Whoever opens a transaction (an endpoint, a task, a command) does so visibly and closes it; domain functions take the
connection first and never commit. No HTTP call happens inside a transaction.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL, Connection, Engine, MetaData, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bridge.errors import Unavailable
from bridge.per_process import PerProcess
from bridge.settings import get_settings

# A query that takes this long is stuck; the worker's hard limit is 60 s and must never be what ends it.
STATEMENT_TIMEOUT_MS = 30_000
LOCK_TIMEOUT_MS = 10_000
# The role that serves requests. It can add ledger rows but not change them; migrations run as the owner.
APP_ROLE = "dust_app"

# The server is a standby, or one that has just become one: soon there is another to write to.
_READ_ONLY = psycopg.errors.ReadOnlySqlTransaction
# What a statement meets whose table or column is not there yet.
_TABLES_MISSING = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)
_BUSY: dict[type[Exception], str] = {
    psycopg.errors.LockNotAvailable: (
        f"Another transaction kept a lock on the same rows for more than {LOCK_TIMEOUT_MS // 1000} s (lock_timeout)."
    ),
    psycopg.errors.QueryCanceled: (
        f"A statement took more than {STATEMENT_TIMEOUT_MS // 1000} s (statement_timeout), or was canceled by hand."
    ),
    psycopg.errors.DeadlockDetected: "Two transactions waited for each other, and Postgres ended this one (deadlock).",
    psycopg.errors.SerializationFailure: "Another transaction changed the same rows first (serialization failure).",
    psycopg.errors.TooManyConnections: "Postgres has no connection left (max_connections).",
    psycopg.errors.DiskFull: "The disk of Postgres is full.",
    psycopg.errors.OutOfMemory: "Postgres is out of memory.",
    PoolTimeout: "All of this process's connections to Postgres are in use.",
}

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class DatabaseAway(Unavailable):
    """Postgres cannot be reached, is shutting down, or did not answer in time."""

    code = "database_unavailable"

    def __init__(self) -> None:
        super().__init__("The database is out of reach; nothing was changed. Try again shortly.")


class DatabaseBusy(Unavailable):
    """Postgres is there and gave up on the transaction: it waited too long for others, or took too long itself."""

    code = "database_busy"

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason} Nothing was changed. Try again shortly.")


class DatabaseBehind(Unavailable):
    """The tables are older than this code: it was started before `dust migrate`."""

    code = "database_behind"

    def __init__(self) -> None:
        super().__init__("The database lags behind this Dust; nothing was changed. Run `dust migrate`.")


def driver_url(url: str) -> URL:
    """Postgres' own `postgresql://` address, of one server or several, as one for SQLAlchemy with psycopg 3."""
    # Read by libpq: SQLAlchemy does not know of several.
    parts = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    user, password, database = (parts.pop(name, None) for name in ("user", "password", "dbname"))
    return URL.create("postgresql+psycopg", user, password, database=database, query=parts)


# What every session of Dust has, as Postgres shows it.
SESSION_SETTINGS = {
    "statement_timeout": f"{STATEMENT_TIMEOUT_MS // 1000}s",
    "lock_timeout": f"{LOCK_TIMEOUT_MS // 1000}s",
    "timezone": "UTC",
}


def make_engine(url: str, *, pool_size: int = 10, pooled: bool = False) -> Engine:
    """An engine whose connections serve as the least-privileged role where the database has it.

    With `pooled`, a pooler may give each transaction another connection to Postgres. Then nothing is set or prepared
    for a session, and role and settings are those of the login (docs/operations/postgres.md).
    """
    address = driver_url(url)
    session = {
        # After those of the address, so that these are what counts.
        "options": f"{address.query.get('options', '')} -c statement_timeout={STATEMENT_TIMEOUT_MS}"
        f" -c lock_timeout={LOCK_TIMEOUT_MS} -c timezone=UTC",
    }
    engine = create_engine(
        address,
        pool_size=pool_size,
        max_overflow=0,
        # The connection that was used last has its statements prepared, and its plans at hand.
        pool_use_lifo=True,
        pool_timeout=10,
        # A connection that died with a restarted Postgres is noticed before it is used, not by a lost request.
        pool_pre_ping=True,
        # An error's text ends up in logs, and values may be a shopper's.
        hide_parameters=True,
        connect_args={
            "connect_timeout": 5,
            "application_name": "dust",
            **({"prepare_threshold": None} if pooled else session),
        },
    )
    if pooled:
        return engine

    @event.listens_for(engine, "connect")
    def _drop_privileges(dbapi_connection: Any, _record: object) -> None:
        # From Postgres 16 on, a member of a role may lack the right to serve as it.
        right = "SET" if dbapi_connection.info.server_version >= 160_000 else "MEMBER"
        with dbapi_connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM pg_roles WHERE rolname = %s AND pg_has_role(current_user, oid, %s)", (APP_ROLE, right)
            )
            if cursor.fetchone():
                cursor.execute(f"SET ROLE {APP_ROLE}")
        dbapi_connection.commit()

    return engine


@PerProcess
def get_engine() -> Engine:
    """This process's engine."""
    settings = get_settings()
    settings.require("database_url")
    assert settings.database_url is not None
    return make_engine(settings.database_url, pooled=settings.database_pooled)


def forget_engine() -> None:
    """Close this process's connections; the next use opens an engine from the settings of then."""
    if engine := get_engine.forget():
        engine.dispose()


@contextmanager
def transaction() -> Iterator[Connection]:
    """Commit at the end of the block, roll back on an error.

    Raises `DatabaseAway` when Postgres is not there, `DatabaseBusy` when it gave up on the transaction, and
    `DatabaseBehind` when it has not the tables that the block wants.
    """
    with _errors_translated(), get_engine().begin() as connection:
        yield connection


@contextmanager
def single_statements() -> Iterator[Connection]:
    """Each statement of the block is a transaction of its own, without the round trips of BEGIN and COMMIT; for a block
    that only reads, or changes things by one statement. Raises as `transaction`."""
    with _errors_translated(), get_engine().connect() as connection:
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def _errors_translated() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, psycopg.Error, PoolTimeout) as error:
        # COPY does not use SQLAlchemy, so it raises psycopg's errors.
        cause = error.orig if isinstance(error, DBAPIError) else error
        if reason := next((reason for kind, reason in _BUSY.items() if isinstance(cause, kind)), None):
            raise DatabaseBusy(reason) from error
        if isinstance(cause, _TABLES_MISSING):
            raise DatabaseBehind from error
        if isinstance(cause, _READ_ONLY):
            # Drop the connections to this server. New ones find the server that accepts writes.
            get_engine().dispose()
            raise DatabaseAway from error
        is_away = isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
        if is_away or getattr(error, "connection_invalidated", False):
            raise DatabaseAway from error
        raise
