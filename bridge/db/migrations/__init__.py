"""Schema migrations: `upgrade`, `downgrade`, and `differences` between the database and the tables in the code.

Alembic is imported inside the functions that migrate. The API only reads the revision, and Alembic takes 13 MiB.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import Error as PostgresError
from psycopg.errors import DeadlockDetected, InsufficientPrivilege, InvalidSchemaName, LockNotAvailable
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from bridge.db import DatabaseBehind, driver_url, metadata, unavailable
from bridge.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from alembic.config import Config

_FOLDER = Path(__file__).parent
# Of two migrations that start at once, the second waits and then has nothing to do. It polls, between transactions:
# `CREATE INDEX CONCURRENTLY` waits for every open statement, so waiting inside one would be a deadlock.
_LOCK = "SELECT pg_try_advisory_lock(hashtext('dust migrate'))"
_POLL_SECONDS = 0.2
# Five seconds. A process that was stopped in its migration holds the lock without an end.
_SILENT_POLLS = 25
# A role or a database can have timeouts for requests, and a migration of a large table takes longer. Postgres 14 to 16
# have no `transaction_timeout`.
_NO_TIMEOUTS = """
    SELECT set_config(name, '0', false) FROM pg_settings
    WHERE name IN ('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout')
"""
# Pauses between attempts while a table is in use.
_FIRST_PAUSE_SECONDS = 1.0
_MAX_PAUSE_SECONDS = 10.0
# A long audit or a backup can keep a table locked for longer. Then an operator should decide.
_GIVE_UP_AFTER_SECONDS = 600.0
_OLDEST_TRANSACTION = """
    SELECT pid, application_name, extract(epoch FROM clock_timestamp() - xact_start)::float AS seconds
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
    ORDER BY xact_start LIMIT 1
"""

_FIX: dict[type[PostgresError], str] = {
    InsufficientPrivilege: "Set DUST_OWNER_DATABASE_URL to a user who owns the database (ALTER DATABASE … OWNER TO …).",
    InvalidSchemaName: "Let the user's search_path name a schema that exists (ALTER ROLE … SET search_path = public).",
}

Say = Callable[[str], None]


class WrongEncoding(InvalidInput):
    """The database cannot store all texts, because its encoding is not UTF8."""

    code = "database_wrong_encoding"

    def __init__(self, name: str, encoding: str) -> None:
        super().__init__(
            f"The database {name} has the encoding {encoding}, and Dust needs UTF8. Create another one: "
            f"CREATE DATABASE dust ENCODING 'UTF8' TEMPLATE template0 LOCALE 'C.UTF-8'. Nothing was changed."
        )


class MigrationRefused(InvalidInput):
    """The user may not migrate this database."""

    code = "migration_refused"

    def __init__(self, reason: str | None, fix: str) -> None:
        super().__init__(f"Postgres refused to migrate the database: {reason}. {fix} Nothing is half done.")


class TablesInUse(Unavailable):
    """A migration could not get its locks within ten minutes."""

    code = "tables_in_use"

    def __init__(self, at: str | None, user: str) -> None:
        super().__init__(
            f"The database is at {at or 'nothing'}. The next migration changes a table that is in use{user}. "
            "Nothing is half done. Wait for the other transaction or end it, and run `dust migrate` again."
        )


class UnknownRevision(InvalidInput):
    """The database was migrated by other code than this: by a newer release, or before the first one."""

    code = "unknown_revision"

    def __init__(self, name: str, revision: str) -> None:
        super().__init__(
            f"The database {name} is at {revision}, which this version of Dust does not know. If a newer version "
            "migrated it, use that version. If an unreleased version made it (they had other migrations), delete it "
            f"and start with an empty database. Nothing was changed. Known: {', '.join(reversed(known_revisions()))}."
        )


def _silent(_: str) -> None:
    """Ignore progress messages."""


def upgrade(url: str, revision: str = "head", *, say: Say = _silent) -> tuple[str | None, str | None]:
    """Migrate up to a revision. Returns the revisions before and after. `say` gets a line for each wait.

    Each migration is its own transaction. Raises `TablesInUse` after ten minutes of waiting, `UnknownRevision`,
    `MigrationRefused`, `WrongEncoding`, and as `transaction`.
    """
    from alembic import command

    def step(config: "Config") -> None:
        command.upgrade(config, revision)
        _complete_privileges(config)

    return _run(url, step, say)


def downgrade(url: str, revision: str, *, say: Say = _silent) -> tuple[str | None, str | None]:
    """Migrate down to a revision; `base` drops all tables. Otherwise as `upgrade`."""
    from alembic import command

    return _run(url, lambda config: command.downgrade(config, revision), say)


def current_revision(connection: Connection) -> str | None:
    """The revision of the database; None if it was never migrated."""
    if connection.scalar(text("SELECT to_regclass('alembic_version') IS NULL")):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


@cache
def known_revisions() -> tuple[str, ...]:
    """All revisions that this code knows, newest first. Each file name begins with its revision."""
    names = sorted((file.name for file in (_FOLDER / "versions").glob("[0-9]*.py")), reverse=True)
    return tuple(name.partition("_")[0] for name in names)


def is_behind(revision: str | None) -> bool:
    """Whether the code needs a newer revision than this.

    A revision that it does not know counts as newer: in a rolling deploy the database is migrated first, and the old
    processes serve until they are replaced.
    """
    newest, *older = known_revisions()
    return revision is None or (revision != newest and revision in older)


def differences(url: str) -> list[str]:
    """Changes that autogenerate would still make. Empty if database and models agree."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from bridge.db.migrations.all_tables import import_tables

    import_tables()
    with _connected(url) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return [str(difference) for difference in compare_metadata(context, metadata)]


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    return config


def _run(url: str, step: Callable[["Config"], None], say: Say) -> tuple[str | None, str | None]:
    with _connected(url) as connection:
        name, encoding = connection.execute(text("SELECT current_database(), getdatabaseencoding()")).one()
        if encoding != "UTF8":
            raise WrongEncoding(name, encoding)
        for polls in count(1):
            if connection.exec_driver_sql(_LOCK).scalar():
                break
            connection.commit()
            if polls == _SILENT_POLLS:
                say("another `dust migrate` is at work on this database: waiting for it to end")
            time.sleep(_POLL_SECONDS)
        connection.commit()
        before = current_revision(connection)
        connection.commit()
        if before and before not in known_revisions():
            raise UnknownRevision(name, before)
        config = _config()
        config.attributes["connection"] = connection
        _with_retries(connection, lambda: step(config), say)
        after = current_revision(connection)
    return before, after


def _complete_privileges(config: "Config") -> None:
    """Complete the role `dust_app` and its privileges in the newest schema: a restored dump can lack them."""
    from alembic.script import ScriptDirectory

    from bridge.db.migrations.privileges import complete

    connection: Connection = config.attributes["connection"]
    if current_revision(connection) != known_revisions()[0]:
        return
    migrations = [revision.module for revision in ScriptDirectory.from_config(config).walk_revisions()]
    complete(
        lambda query: connection.scalar(text(query)),
        lambda statement: connection.execute(text(statement)),
        [granted for migration in migrations for granted in getattr(migration, "PRIVILEGES", {}).items()],
    )


def _with_retries(connection: Connection, step: Callable[[], None], say: Say) -> None:
    """Run `step`, and again after each lock timeout. Migrations that are committed by then stay."""
    deadline, pause = time.monotonic() + _GIVE_UP_AFTER_SECONDS, _FIRST_PAUSE_SECONDS
    while True:
        try:
            step()
            connection.commit()
            return
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable | DeadlockDetected):
                raise
            connection.rollback()
            at, user = current_revision(connection), _longest_user(connection)
            connection.commit()
            if time.monotonic() > deadline:
                raise TablesInUse(at, user) from error
            say(f"at {at or 'nothing'}: a table is in use{user}; trying again in {pause:.0f} s")
            time.sleep(pause)
            pause = min(2 * pause, _MAX_PAUSE_SECONDS)


def _longest_user(connection: Connection) -> str:
    """The oldest open transaction, in words; empty if there is none or it is not visible to this user."""
    oldest = connection.execute(text(_OLDEST_TRANSACTION)).one_or_none()
    if oldest is None:
        return ""
    return (
        f" (the oldest transaction is {oldest.application_name or 'unnamed'}, pid {oldest.pid}, {oldest.seconds:.0f} s)"
    )


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    """Connect as the owner of the tables, not as `dust_app`. Raises `MigrationRefused`, and as `transaction`."""
    engine = create_engine(driver_url(url), poolclass=NullPool, connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(_NO_TIMEOUTS)
            connection.commit()
            yield connection
    except DBAPIError as error:
        if isinstance(error.orig, PostgresError) and (fix := _FIX.get(type(error.orig))):
            raise MigrationRefused(error.orig.diag.message_primary, fix) from error
        reason = unavailable(error)
        # A table that a migration does not find is the migration's fault.
        if reason is None or isinstance(reason, DatabaseBehind):
            raise
        raise reason from error
