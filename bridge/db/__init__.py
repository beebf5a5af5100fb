"""Database access: one engine per process, and `transaction()`.

Entry points (endpoints, tasks, commands) open transactions. Domain functions take the connection as their first
argument and never commit. No HTTP call is made inside a transaction.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL, Connection, Engine, MetaData, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bridge.errors import Unavailable
from bridge.per_process import PerProcess
from bridge.settings import get_settings

Item = TypeVar("Item")

# A query that takes this long is stuck. It must end before the worker's hard time limit of 60 s.
STATEMENT_TIMEOUT_MS = 30_000
LOCK_TIMEOUT_MS = 10_000
_SHORT_LOCK_TIMEOUT_MS = 1_000
# After so many locked items, Postgres itself is probably busy.
_MAX_BUSY = 10
# The role that serves requests. It can add ledger rows but not change them; migrations run as the owner.
APP_ROLE = "dust_app"

# The server is a standby, for example after a failover. Another server will accept writes soon.
_READ_ONLY = psycopg.errors.ReadOnlySqlTransaction
# Errors of a statement whose table or column does not exist yet.
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
    psycopg.errors.ConfigurationLimitExceeded: "A limit of Postgres was exceeded (temp_file_limit, for example).",
    psycopg.errors.IoError: "Postgres cannot read or write its files (input/output error).",
    psycopg.errors.SystemError: "The machine of Postgres has a fault (system error): see its log.",
    psycopg.errors.UndefinedFile: "Postgres misses one of its files: see its log.",
    psycopg.errors.InternalError_: "Postgres had an internal error: see its log.",
    psycopg.errors.DataCorrupted: "Postgres has found damaged data: see its log.",
    psycopg.errors.IndexCorrupted: "Postgres has found a damaged index: see its log.",
    psycopg.errors.IdleInTransactionSessionTimeout: (
        "Postgres ended a transaction that paused too long (idle_in_transaction_session_timeout)."
    ),
    psycopg.errors.TransactionTimeout: "Postgres ended a transaction that took too long (transaction_timeout).",
    **dict.fromkeys(
        (psycopg.errors.InvalidSqlStatementName, psycopg.errors.DuplicatePreparedStatement),
        "A pooler passed on the transaction to another connection (prepared statement): see `dust doctor`.",
    ),
    PoolTimeout: "All of this process's connections to Postgres are in use.",
}

# A statement or a value is too large for Postgres (`program_limit_exceeded`), and will be too large the next time.
_TOO_LARGE = "54"

# A refused connection has only a text, without an error code. Those of Postgres 14 to 18, PgBouncer and Supavisor.
_NO_CONNECTION_LEFT = re.compile(
    "too many (clients|connections)|remaining connection slots|no more connections allowed|max clients", re.IGNORECASE
)
# A server that answers and refuses the login, which waiting does not change.
_LOGIN_REFUSED = re.compile(
    r"(?:FATAL|ERROR):\s+((?:password|SASL) authentication failed[^\n]*|(?:role|database) \"[^\n]*\" does not exist"
    r"|no pg_hba\.conf entry[^\n]*|role \"[^\n]*\" is not permitted to log in|no such (?:user|database)[^\n]*"
    r"|permission denied for database[^\n]*|pg_hba\.conf rejects connection[^\n]*)"
)

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
    message = "The database is out of reach; nothing was changed. Try again shortly."


class DatabaseLoginRefused(Unavailable):
    """Postgres answers, but refuses the login: a wrong password, or no such user or database."""

    code = "database_login_refused"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"Postgres refuses the login: {reason}. Nothing was changed. Check user, password and database in "
            "DUST_DATABASE_URL."
        )


class DatabaseReadOnly(Unavailable):
    """Postgres accepts no writes: a standby, or a database that is set to read-only."""

    code = "database_read_only"
    message = (
        "The database accepts no writes; nothing was changed. It is a standby, or default_transaction_read_only "
        "is on, which some hosts set when the disk is full."
    )


class DatabaseBusy(Unavailable):
    """Postgres aborted or refused the transaction: a timeout, a conflict with another one, or no resources left."""

    code = "database_busy"

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason} Nothing was changed. Try again shortly.")


class DatabaseBehind(Unavailable):
    """The database schema is older than this code, which was started before `dust migrate`."""

    code = "database_behind"
    message = "The database lags behind this Dust; nothing was changed. Run `dust migrate`."


class DatabaseDenied(Unavailable):
    """The user of the database lacks a privilege."""

    code = "database_denied"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"Postgres refused it: {reason}. Nothing was changed. Run `dust migrate` as the owner of the tables, or "
            f"GRANT {APP_ROLE} TO the user of DUST_DATABASE_URL."
        )


def driver_url(url: str) -> URL:
    """Convert a `postgresql://` address of one or several servers to a SQLAlchemy URL for psycopg 3."""
    # Parsed by libpq, because SQLAlchemy does not support several hosts in an address.
    parts = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    user, password, database = (parts.pop(name, None) for name in ("user", "password", "dbname"))
    return URL.create("postgresql+psycopg", user, password, database=database, query=parts)


# Settings of every session, in the format in which Postgres shows them. A role or database can have others.
SESSION_SETTINGS = {
    "statement_timeout": f"{STATEMENT_TIMEOUT_MS // 1000}s",
    "lock_timeout": f"{LOCK_TIMEOUT_MS // 1000}s",
    "timezone": "UTC",
    # psycopg 3.3 reads times in this format only.
    "datestyle": "ISO, MDY",
    # Off, a missing value in a list is read as the text NULL.
    "array_nulls": "on",
}


# The user who logged in must have the right: a default of that user can have set another role. The path is kept as it
# was for that user: `"$user"` in it would be another schema for `dust_app`.
_FIND_ROLE = """
    SELECT set_config('search_path', string_agg(quote_ident(schema), ', '), false)
    FROM unnest(current_schemas(false)) AS schema
    WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = %s AND pg_has_role(session_user, oid, %s))
    HAVING count(*) > 0
"""


def make_engine(url: str, *, pool_size: int = 10, pooled: bool = False) -> Engine:
    """Create an engine whose connections use the role `dust_app` if it exists.

    With `pooled`, a pooler may use another connection to Postgres for each transaction. Then no session settings or
    prepared statements are used, and role and settings are those of the login (docs/how-to/postgres.md).
    """
    address = driver_url(url)
    # Without spaces, because they separate options. After those of the address, so that these take precedence.
    options = [f"-c {name}={value.replace(' ', '')}" for name, value in SESSION_SETTINGS.items()]
    session = {"options": " ".join([str(address.query.get("options", "")), *options])}
    engine = create_engine(
        address,
        pool_size=pool_size,
        max_overflow=0,
        # Locks are taken first and rows are read after them, which needs a new snapshot for each statement.
        isolation_level="READ COMMITTED",
        # The most recently used connection has its statements prepared and their plans cached.
        pool_use_lifo=True,
        pool_timeout=10,
        # Detects connections that died in a restart of Postgres before they are used, so that no request fails.
        pool_pre_ping=True,
        # Error texts are logged, and parameters can be personal data.
        hide_parameters=True,
        connect_args={
            "connect_timeout": 5,
            "application_name": "dust",
            "client_encoding": "utf8",
            **({"prepare_threshold": None} if pooled else session),
        },
    )
    if pooled:
        return engine

    @event.listens_for(engine, "connect")
    def _prepare_session(dbapi_connection: Any, _record: object) -> None:
        # From Postgres 16 on, a member of a role can lack the right to SET ROLE to it.
        right = "SET" if dbapi_connection.info.server_version >= 160_000 else "MEMBER"
        with dbapi_connection.cursor() as cursor:
            # libpq sends PGTZ and PGDATESTYLE of the environment, and Postgres prefers them to `options`.
            cursor.execute("; ".join(f"SET {name} = '{SESSION_SETTINGS[name]}'" for name in ("timezone", "datestyle")))
            cursor.execute(_FIND_ROLE, (APP_ROLE, right))
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


def dispose_engine() -> None:
    """Close this process's connections. The next use creates an engine from the settings at that time."""
    if engine := get_engine.clear():
        engine.dispose()


@contextmanager
def transaction() -> Iterator[Connection]:
    """Open a transaction: commit at the end of the block, roll back on an error.

    Raises `DatabaseAway` if Postgres is unreachable, `DatabaseLoginRefused` if it refuses the login, `DatabaseReadOnly`
    if it accepts no writes, `DatabaseBusy` if it aborted or refused the transaction, `DatabaseBehind` if a table or
    column is missing, and `DatabaseDenied` if a privilege is.
    """
    with _errors_translated(), get_engine().begin() as connection:
        yield connection


def in_batches(step: Callable[[Connection], int], *, size: int) -> int:
    """Call `step`, each time in a transaction of its own, until it does less than `size`. Returns the sum."""
    total, batch = 0, size
    while batch >= size:
        with transaction() as connection:
            batch = step(connection)
        total += batch
    return total


def all_or_each(step: Callable[[Connection, list[Item]], object], items: list[Item]) -> dict[Item, Exception]:
    """Call `step` with all items in one transaction. If that fails, with each item in a transaction of its own.

    Returns the error of each item at which it fails even then, such as one whose rows another transaction keeps locked.
    Raises an error that concerns all items, as `transaction` does.
    """
    if not items:
        return {}
    try:
        with transaction() as connection:
            step(connection, items)
    except Exception as error:
        if not concerns_its_rows(error):
            raise
    else:
        return {}
    return each_alone(lambda connection, item: step(connection, [item]), items)


def each_alone(step: Callable[[Connection, Item], object], items: Iterable[Item]) -> dict[Item, Exception]:
    """Call `step` with each item in a transaction of its own, which waits shortly for locks; otherwise as
    `all_or_each`."""
    failed: dict[Item, Exception] = {}
    for item in items:
        try:
            with transaction() as connection:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_SHORT_LOCK_TIMEOUT_MS}")
                step(connection, item)
        except Exception as error:
            busy = sum(isinstance(other, DatabaseBusy) for other in failed.values())
            if not concerns_its_rows(error) or busy == _MAX_BUSY:
                raise
            failed[item] = error
    return failed


def concerns_its_rows(error: Exception) -> bool:
    """Whether an error of a transaction may concern only the rows that it reads and writes, and not others."""
    return isinstance(error, DatabaseBusy) or not isinstance(error, Unavailable)


@contextmanager
def single_statements() -> Iterator[Connection]:
    """Open a connection in autocommit: each statement is a transaction, without round trips for BEGIN and COMMIT.

    Use it for a block that only reads, or writes with one statement. Raises as `transaction`.
    """
    with _errors_translated(), get_engine().connect() as connection:
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def _errors_translated() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        reason = unavailable(error)
        if reason is None:
            raise
        if isinstance(reason, DatabaseReadOnly):
            # Drop the connections to this server. New ones find the server that accepts writes.
            get_engine().dispose()
        raise reason from error


def unavailable(error: DBAPIError | PoolTimeout) -> Unavailable | None:
    """The error of Dust for an error of Postgres, as `transaction` raises it; None if the statement is at fault."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if reason := next((reason for kind, reason in _BUSY.items() if isinstance(cause, kind)), None):
        return DatabaseBusy(reason)
    if isinstance(cause, _TABLES_MISSING):
        return DatabaseBehind()
    if isinstance(cause, _READ_ONLY):
        return DatabaseReadOnly()
    if isinstance(cause, psycopg.errors.InsufficientPrivilege):
        return DatabaseDenied(str(cause).partition("\n")[0])
    if isinstance(cause, psycopg.OperationalError) and _NO_CONNECTION_LEFT.search(str(cause)):
        return DatabaseBusy(_BUSY[psycopg.errors.TooManyConnections])
    if isinstance(cause, psycopg.OperationalError) and (refusal := _LOGIN_REFUSED.search(str(cause))):
        return DatabaseLoginRefused(refusal[1])
    is_too_large = isinstance(cause, psycopg.OperationalError) and (cause.sqlstate or "").startswith(_TOO_LARGE)
    is_away = isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError) and not is_too_large
    if is_away or getattr(error, "connection_invalidated", False):
        return DatabaseAway()
    return None
