"""Checks of the database, its schema, its sessions, and the programme in it."""

from datetime import datetime

from sqlalchemy import text

from bridge.clock import read_offset
from bridge.db import APP_ROLE, SESSION_SETTINGS, DatabaseAway, DatabaseLoginRefused, migrations, transaction
from bridge.operations.doctor.finding import Check, Wrong, compare_clocks
from bridge.programme.earning import EarnWhen
from bridge.programme.versions import current_version
from bridge.settings import Settings


def _database(settings: Settings) -> str:
    if not settings.database_url:
        raise Wrong(
            "DUST_DATABASE_URL is not set",
            fix="Set it to postgresql://user:password@host:5432/database, or start `dust up`, which brings its own.",
        )
    try:
        with transaction() as connection:
            version = connection.scalar(text("SHOW server_version"))
            is_read_only = connection.scalar(text("SHOW transaction_read_only")) == "on"
    except DatabaseAway as error:
        if "unsupported startup parameter" in str(error.__cause__):
            raise Wrong(
                "PgBouncer, or another pooler, refuses the settings of Dust's sessions",
                fix="Set DUST_DATABASE_POOLED=true for every process of Dust, and run `dust doctor` again. For `dust "
                "migrate`, set DUST_OWNER_DATABASE_URL to the owner's address of Postgres, without the pooler.",
            ) from error
        if "statement pooling" in str(error.__cause__):
            raise Wrong(
                "PgBouncer, or another pooler, passes on single statements only, without transactions",
                fix="Set pool_mode = transaction in PgBouncer for this database.",
            ) from error
        raise Wrong(
            f"does not answer ({_first_line(error.__cause__)})",
            fix="Is Postgres running, and are host, port, user and password in DUST_DATABASE_URL right?",
        ) from error
    except DatabaseLoginRefused as error:
        raise Wrong(
            f"refuses the login ({_first_line(error.__cause__)})",
            fix="Are user, password and database in DUST_DATABASE_URL right, and may this machine connect "
            "(pg_hba.conf, or the list of addresses at your host)?",
        ) from error
    if is_read_only:
        raise Wrong(
            f"PostgreSQL {version} answers, but accepts no writes",
            fix="If it is a standby, let DUST_DATABASE_URL name the primary too. Otherwise find out who set "
            "default_transaction_read_only, with `\\drds` in psql: some hosts set it when the disk is full.",
        )
    return f"PostgreSQL {version} answers"


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0]


def _migrations(_: Settings) -> str:
    with transaction() as connection:
        at = migrations.current_revision(connection)
    if migrations.is_behind(at):
        newest = migrations.known_revisions()[0]
        raise Wrong(f"the database is at {at or 'nothing'}, this Dust wants {newest}", fix="Run `dust migrate`.")
    if at not in migrations.known_revisions():
        return f"the database is at {at}, which this version does not know: a newer or an unreleased one migrated it"
    return f"the database is at {at}"


def _sessions(settings: Settings) -> str:
    with transaction() as connection:
        user = connection.scalar(text("SELECT quote_ident(session_user)"))
        actual = {
            name: connection.scalar(text("SELECT current_setting(:name)"), {"name": name}) for name in SESSION_SETTINGS
        }
    wrong = {name: value for name, value in SESSION_SETTINGS.items() if actual[name] != value}
    if not wrong:
        return "time-outs, time zone and date style are those of Dust"
    statements = " ".join(f"ALTER ROLE {user} SET {name} = '{value}';" for name, value in wrong.items())
    pooled = "" if settings.database_pooled else "Set DUST_DATABASE_POOLED=true for every process of Dust. "
    raise Wrong(
        "a session has " + ", ".join(f"{name} {actual[name]}" for name in wrong) + ": a pooler is in between",
        fix=f"{pooled}Connect without the pooler, as a superuser or as {user}, and run: {statements} Then let "
        "the pooler open new connections (in PgBouncer's console: RECONNECT).",
    )


def _privileges(settings: Settings) -> str:
    query = (
        "SELECT current_user AS role, has_table_privilege('dust_transaction', 'UPDATE')"
        " OR has_table_privilege('dust_transaction', 'DELETE') AS may_change"
    )
    with transaction() as connection:
        row = connection.execute(text(query)).one()
    if row.may_change and settings.database_pooled:
        raise Wrong(
            f"connections serve as {row.role}, who may change what is booked",
            fix=f"CREATE ROLE dust_serve LOGIN PASSWORD '…' IN ROLE {APP_ROLE}; and let DUST_DATABASE_URL name that "
            "user: behind a pooler Dust cannot step down to the role itself. DUST_OWNER_DATABASE_URL is for the owner, "
            "without the pooler.",
        )
    if row.may_change:
        raise Wrong(
            f"connections serve as {row.role}, who may change what is booked",
            fix=f"Run `dust migrate` as a user who may create roles, then GRANT {APP_ROLE} TO the user of "
            "DUST_DATABASE_URL: Dust steps down to it by itself.",
        )
    return f"connections serve as {row.role}, who cannot change what is booked"


def _rules(_: Settings) -> str:
    with transaction() as connection:
        version = current_version(connection)
    earn = version.programme.earn
    version_in_force = f"version {version.number} is in force"
    if earn.when is EarnWhen.PLACED and not earn.pending_until_paid:
        version_in_force += (
            "; recommended: set earn.pending_until_paid to true. Now an order that nobody pays gives points at once, "
            "which can be spent before you cancel it"
        )
    return version_in_force


def _database_clock(_: Settings) -> str:
    return compare_clocks(_postgres_now())


def _postgres_now() -> datetime:
    with transaction() as connection:
        postgres_time: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return postgres_time


def _test_clock(settings: Settings) -> str:
    if not settings.test_clock:
        return "is the real time, and cannot be moved"
    with transaction() as connection:
        ahead = read_offset(connection)
    return f"may be moved with `dust clock`{f', and is {ahead} ahead' if ahead else ''}: never for real customers"


DATABASE_CHECKS = (
    Check("database", _database),
    Check("migrations", _migrations, after="database"),
    Check("sessions", _sessions, after="migrations"),
    Check("privileges", _privileges, after="migrations"),
    Check("programme", _rules, after="migrations"),
    Check("database clock", _database_clock, after="database"),
    Check("time", _test_clock, after="migrations"),
)
