"""The database's history: `upgrade` brings it up to date, `differences` says where tables and code disagree.

Alembic is loaded by what migrates, and not by the API, which only asks for the revision: it would weigh 13 MiB there.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from bridge.db import DatabaseAway, driver_url, metadata
from bridge.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from alembic.config import Config

_FOLDER = Path(__file__).parent
# Two that start at once: the second waits and then finds nothing to do. It asks again and again, between transactions:
# one that waited inside a statement would be waited for by `CREATE INDEX CONCURRENTLY`, and both in a circle.
_LOCK = "SELECT pg_try_advisory_lock(hashtext('dust migrate'))"
_ASK_AGAIN_SECONDS = 0.2
# A table that is in use is tried again after this long, and at most that long.
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 10.0
# An hour's audit or a backup may hold a table for long. Then somebody should decide.
_PATIENCE_SECONDS = 600.0
_OLDEST_TRANSACTION = """
    SELECT pid, application_name, extract(epoch FROM clock_timestamp() - xact_start)::float AS seconds
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
    ORDER BY xact_start LIMIT 1
"""

Say = Callable[[str], None]


class WrongEncoding(InvalidInput):
    """Names and texts of a shop do not fit into the database."""

    code = "database_wrong_encoding"

    def __init__(self, name: str, encoding: str) -> None:
        super().__init__(
            f"The database {name} has the encoding {encoding}, and Dust needs UTF8. Create another one: "
            f"CREATE DATABASE dust ENCODING 'UTF8' TEMPLATE template0 LOCALE 'C.UTF-8'. Nothing was changed."
        )


class TablesInUse(Unavailable):
    """A migration could not get its locks within ten minutes."""

    code = "tables_in_use"

    def __init__(self, at: str | None, user: str) -> None:
        super().__init__(
            f"The database is at {at or 'nothing'}: what comes next changes a table that is in use{user}. Nothing is "
            "half done. Let that end, or end it, and run `dust migrate` again."
        )


def import_tables() -> None:
    """Load every module that defines a table, so that `metadata` is complete."""
    import bridge.clock
    import bridge.imports.tables
    import bridge.inbox.backfill
    import bridge.inbox.erasure
    import bridge.inbox.reconcile
    import bridge.inbox.tables
    import bridge.ledger.tables
    import bridge.notices.tables
    import bridge.observability.metrics
    import bridge.products.settings
    import bridge.programme.currencies
    import bridge.programme.versions
    import bridge.queue.heartbeats
    import bridge.queue.retries
    import bridge.redemptions.tables
    import bridge.reports.tables
    import bridge.settlement.manual_bonuses
    import bridge.settlement.tables
    import bridge.simulation.tables  # noqa: F401


def _nobody(_: str) -> None:
    """Whoever calls from a program needs no progress."""


def upgrade(url: str, revision: str = "head", *, say: Say = _nobody) -> tuple[str | None, str | None]:
    """Migrate up to a revision; the revisions before and after. `say` is told what it waits for.

    Each migration is a transaction of its own. Raises `TablesInUse` after ten minutes of waiting, `DatabaseAway`,
    `WrongEncoding`.
    """
    from alembic import command

    return _run(url, lambda config: command.upgrade(config, revision), say)


def downgrade(url: str, revision: str, *, say: Say = _nobody) -> tuple[str | None, str | None]:
    """Migrate down to a revision (`base` is an empty database), otherwise as `upgrade`."""
    from alembic import command

    return _run(url, lambda config: command.downgrade(config, revision), say)


def current_revision(connection: Connection) -> str | None:
    """What Alembic has written down; None in a database that it has not seen."""
    if connection.scalar(text("SELECT to_regclass('alembic_version') IS NULL")):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


@cache
def known_revisions() -> tuple[str, ...]:
    """Every revision that this code knows, the newest first: each file's name begins with its own."""
    names = sorted((file.name for file in (_FOLDER / "versions").glob("[0-9]*.py")), reverse=True)
    return tuple(name.partition("_")[0] for name in names)


def is_behind(revision: str | None) -> bool:
    """Whether the code wants a newer one than this.

    One that it does not know is from newer code: whoever renews Dust process by process migrates first, and the old
    processes serve until their turn comes.
    """
    newest, *older = known_revisions()
    return revision is None or (revision != newest and revision in older)


def differences(url: str) -> list[str]:
    """What autogenerate would still change: empty when the migrations are in step with the models."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

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
        while not connection.exec_driver_sql(_LOCK).scalar():
            connection.commit()
            time.sleep(_ASK_AGAIN_SECONDS)
        connection.commit()
        before = current_revision(connection)
        connection.commit()
        config = _config()
        config.attributes["connection"] = connection
        _patiently(connection, lambda: step(config), say)
        after = current_revision(connection)
    return before, after


def _patiently(connection: Connection, step: Callable[[], None], say: Say) -> None:
    """Again after each lock that was not to be had; what is done by then stays done."""
    deadline, pause = time.monotonic() + _PATIENCE_SECONDS, _FIRST_PAUSE_SECONDS
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
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _longest_user(connection: Connection) -> str:
    """Who has had a transaction open for the longest, in words; nothing when that is not ours to see."""
    found = connection.execute(text(_OLDEST_TRANSACTION)).one_or_none()
    if found is None:
        return ""
    return f" (the oldest transaction is {found.application_name or 'unnamed'}, pid {found.pid}, {found.seconds:.0f} s)"


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    """A connection as the owner, not as the role that serves requests. Raises `DatabaseAway`."""
    engine = create_engine(driver_url(url), poolclass=NullPool, connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as connection:
            yield connection
    except OperationalError as error:
        raise DatabaseAway from error
