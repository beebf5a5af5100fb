"""The database's history, up and down, twice at once, and by an owner who may make no roles."""

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psycopg
import pytest
from alembic.config import Config
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bridge.db import DatabaseAway, DatabaseBusy, DatabaseReadOnly, make_engine, migrations
from bridge.db.migrations import MigrationRefused
from bridge.development.stack.postgres import embedded_postgres
from bridge.development.stack.up import DUST
from tests.support.clock import START

_numbers = itertools.count()

ADD_ROW = f"""
    INSERT INTO dust_transaction (customer_id, version, id, amount, held, pending, type, kind, reference_type,
        reference_id, description, balance_after, held_after, pending_after, actor, event_at, created_at, hash)
    VALUES ('cus_1', 1, 'dtx_1', 5, 0, 0, 'credit', 'earn', 'order', 'order_1', '', 5, 0, 0, 'dust', '{START}',
        '{START}', '')
"""
REWRITES = ("UPDATE dust_transaction SET amount = 7", "DELETE FROM dust_transaction", "TRUNCATE dust_transaction")


def with_login(url: str, user: str, password: str, database: str) -> str:
    host = url.rpartition("@")[2].partition("/")[0]
    return f"postgresql://{user}:{password}@{host}/{database}"


@pytest.fixture
def empty(postgres: str) -> Iterator[str]:
    """An empty database of the server's own user."""
    name = f"empty_{next(_numbers)}"
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield f"{postgres.rpartition('/')[0]}/{name}"
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def of_a_plain_owner(postgres: str) -> Iterator[str]:
    """An empty database whose owner may make no roles and is a member of none, as hosters give out."""
    name = f"plain_{next(_numbers)}"
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'plain' NOCREATEROLE").format(sql.Identifier(name)))
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(name)))
        yield with_login(postgres, name, "plain", name)
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def server() -> Iterator[str]:
    """A server without the role `dust_app`."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        with embedded_postgres(Path(folder), settings={"fsync": "off"}, say=lambda _: None) as url:
            yield url


def managed_database(server: str, name: str) -> str:
    """A database as a hoster of Postgres gives out: its owner may create roles and is no superuser."""
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'managed' CREATEROLE").format(sql.Identifier(name)))
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(name)))
    return with_login(server, name, "managed", name)


def serving_role(url: str) -> str:
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            return str(connection.scalar(text("SELECT current_user")))
    finally:
        engine.dispose()


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {row[0] for row in rows}


def functions(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace").fetchall()
    return {row[0] for row in rows}


def migrate_at_once(*urls: str) -> list[str]:
    """Real processes, as containers that start together; what each said. Alembic does not work in threads."""
    started = [
        subprocess.Popen(
            [*DUST, "migrate"], env={**os.environ, "DUST_DATABASE_URL": url}, stdout=subprocess.PIPE, text=True
        )
        for url in urls
    ]
    outputs = [process.communicate(timeout=90)[0].strip() for process in started]
    assert [process.returncode for process in started] == [0] * len(urls)
    return outputs


def assert_append_only(url: str, *before: str) -> None:
    for rewrite in REWRITES:
        with psycopg.connect(url) as connection:
            connection.execute(ADD_ROW)
            for statement in before:
                connection.execute(statement)
            with pytest.raises(psycopg.Error, match=r"append-only|permission denied"):
                connection.execute(rewrite)
            connection.rollback()


def test_migrate_up_down_to_an_empty_database_and_up_again(empty: str) -> None:
    newest = migrations.known_revisions()[0]
    assert migrations.upgrade(empty) == (None, newest)
    everything = tables(empty)
    assert {"dust_balance", "dust_transaction", "dust_product", "webhook_event"} <= everything
    assert migrations.upgrade(empty) == (newest, newest)
    with psycopg.connect(empty) as connection:
        connection.execute(ADD_ROW)
    assert migrations.downgrade(empty, "base") == (newest, None)
    assert tables(empty) == {"alembic_version"}
    assert functions(empty) == set()
    assert migrations.upgrade(empty) == (None, newest)
    assert tables(empty) == everything
    assert_append_only(empty)


def test_the_migrations_are_in_step_with_the_models(empty: str) -> None:
    migrations.upgrade(empty)
    assert migrations.differences(empty) == []
    with psycopg.connect(empty) as connection:
        connection.execute("ALTER TABLE dust_product DROP COLUMN mirror_error")
    assert any("mirror_error" in difference for difference in migrations.differences(empty))


def test_two_at_once_migrate_once(empty: str) -> None:
    newest = migrations.known_revisions()[0]
    outputs = migrate_at_once(empty, empty, empty)
    assert sorted(outputs) == sorted(
        [f"database at {newest} (was empty)", f"database at {newest}", f"database at {newest}"]
    )
    assert migrations.differences(empty) == []


def test_waiting_for_another_migration_is_reported(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "_POLL_SECONDS", 0.01)
    messages: list[str] = []
    with psycopg.connect(empty, autocommit=True) as other:
        other.execute(migrations._LOCK)

        def say(line: str) -> None:
            messages.append(line)
            other.execute("SELECT pg_advisory_unlock_all()")

        assert migrations.upgrade(empty, say=say) == (None, migrations.known_revisions()[0])
    assert messages == ["another `dust migrate` is at work on this database: waiting for it to end"]


def test_timeouts_for_requests_do_not_apply_to_migrations(empty: str) -> None:
    """A role or a database can have them. The migration waits for its locks, and says for whom."""
    migrations.upgrade(empty)
    messages: list[str] = []
    with psycopg.connect(empty) as reader:
        name = sql.Identifier(empty.rpartition("/")[2])
        for timeout in ("statement_timeout", "idle_in_transaction_session_timeout"):
            reader.execute(sql.SQL("ALTER DATABASE {} SET {} = '100ms'").format(name, sql.SQL(timeout)))
        reader.commit()
        reader.execute("SELECT * FROM dust_transaction")

        def say(line: str) -> None:
            messages.append(line)
            reader.rollback()

        assert migrations.downgrade(empty, "base", say=say)[1] is None
    assert len(messages) == 1
    assert "a table is in use" in messages[0]


@pytest.mark.parametrize(
    ("sqlstate", "error", "reason"),
    [
        ("53100", DatabaseBusy, "disk of Postgres is full"),
        ("57014", DatabaseBusy, "canceled by hand"),
        ("57P01", DatabaseAway, "out of reach"),
        ("25006", DatabaseReadOnly, "accepts no writes"),
        ("42501", MigrationRefused, "DUST_OWNER_DATABASE_URL"),
        ("42P01", DBAPIError, "UndefinedTable"),
    ],
)
def test_the_cause_of_a_failed_migration_is_named(
    empty: str, sqlstate: str, error: type[Exception], reason: str
) -> None:
    def fail(config: Config) -> None:
        config.attributes["connection"].exec_driver_sql(
            f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{sqlstate}'; END $$"
        )

    with pytest.raises(error, match=reason):
        migrations._run(empty, fail, lambda _: None)


def test_two_databases_of_one_server_migrate_at_once(empty: str, of_a_plain_owner: str) -> None:
    assert all("was empty" in words for words in migrate_at_once(empty, of_a_plain_owner))
    assert tables(empty) == tables(of_a_plain_owner)


def test_an_owner_without_the_right_to_create_roles_migrates_and_the_ledger_is_protected(of_a_plain_owner: str) -> None:
    migrations.upgrade(of_a_plain_owner)
    with psycopg.connect(of_a_plain_owner) as connection:
        member = "SELECT pg_has_role(current_user, 'dust_app', 'MEMBER')"
        row = connection.execute(member).fetchone()
        assert row == (False,)
    assert_append_only(of_a_plain_owner)
    assert migrations.differences(of_a_plain_owner) == []
    migrations.downgrade(of_a_plain_owner, "base")
    assert tables(of_a_plain_owner) == {"alembic_version"}


def test_an_owner_who_may_create_roles_serves_as_the_role(server: str) -> None:
    url = managed_database(server, "managed")
    migrations.upgrade(url)
    assert serving_role(url) == "dust_app"
    assert_append_only(url, "SET ROLE dust_app")
    # Another owner's database shares the role, which is not the owner's to use.
    other = managed_database(server, "other")
    migrations.upgrade(other)
    assert serving_role(other) == "other"
    assert_append_only(other)


def test_the_first_two_databases_of_a_server_migrate_at_once(server: str) -> None:
    urls = []
    with psycopg.connect(server, autocommit=True) as admin:
        for name in ("first", "second"):
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            urls.append(f"{server.rpartition('/')[0]}/{name}")
    assert all("was empty" in words for words in migrate_at_once(*urls))
    assert {serving_role(url) for url in urls} == {"dust_app"}


def test_a_database_that_is_not_utf8_is_refused_by_name(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute("CREATE DATABASE old ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
    url = f"{server.rpartition('/')[0]}/old"
    with pytest.raises(
        migrations.WrongEncoding, match=r"The database old has the encoding LATIN1, and Dust needs UTF8\."
    ):
        migrations.upgrade(url)
    assert tables(url) == set()


@pytest.mark.parametrize("step", [migrations.upgrade, migrations.downgrade])
def test_a_database_of_an_unreleased_version_is_refused_with_what_to_do(
    empty: str, step: Callable[[str, str], object]
) -> None:
    migrations.upgrade(empty)
    with psycopg.connect(empty) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0027'")
    before = tables(empty)
    message = r"empty_\d+ is at 0027, which .* does not know\..* unreleased version .* start with an empty database\."
    with pytest.raises(migrations.UnknownRevision, match=message):
        step(empty, "0001")
    assert tables(empty) == before


def test_an_owner_whose_schema_has_the_owners_name_serves_as_the_role(server: str) -> None:
    url = managed_database(server, "managed")
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("CREATE SCHEMA managed AUTHORIZATION managed")
    migrations.upgrade(url)
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT current_user")) == "dust_app"
            assert connection.scalar(text("SELECT count(*) FROM managed.dust_transaction")) == 0
            assert connection.scalar(text("SELECT count(*) FROM dust_transaction")) == 0
    finally:
        engine.dispose()


def test_a_login_that_becomes_another_user_by_default_serves(server: str) -> None:
    migrations.upgrade(server)
    superuser = sql.Identifier(str(urlsplit(server).username))
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE app LOGIN PASSWORD 'app' IN ROLE {}").format(superuser))
        admin.execute(sql.SQL("ALTER ROLE app SET role = {}").format(superuser))
    url = with_login(server, "app", "app", urlsplit(server).path[1:])
    assert serving_role(url) == urlsplit(server).username
    with psycopg.connect(server, autocommit=True) as admin:
        # What `dust doctor` says.
        admin.execute("GRANT dust_app TO app")
    assert serving_role(url) == "dust_app"


def privileges_of_role(url: str) -> set[tuple[str, str]]:
    with psycopg.connect(url) as connection:
        query = "SELECT table_name, privilege_type FROM information_schema.role_table_grants WHERE grantee = 'dust_app'"
        return {(row[0], row[1]) for row in connection.execute(query).fetchall()}


def test_a_dump_that_was_restored_without_privileges_serves_after_the_next_migrate(empty: str) -> None:
    migrations.upgrade(empty)
    before = privileges_of_role(empty)
    with psycopg.connect(empty) as owner:
        # What `pg_restore --no-owner --no-acl` leaves out.
        owner.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM dust_app")
    assert privileges_of_role(empty) == set()
    assert migrations.upgrade(empty) == ("0001", "0001")
    assert privileges_of_role(empty) == before
    assert_append_only(empty, "SET ROLE dust_app")


def test_a_user_who_may_create_roles_completes_what_the_owner_could_not(server: str) -> None:
    """As `dust doctor` says where the role is missing."""
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute("CREATE ROLE plain LOGIN PASSWORD 'plain'")
        admin.execute("CREATE DATABASE plain OWNER plain")
    as_owner = with_login(server, "plain", "plain", "plain")
    migrations.upgrade(as_owner)
    assert serving_role(as_owner) == "plain"
    migrations.upgrade(f"{server.rpartition('/')[0]}/plain")
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute("GRANT dust_app TO plain")
    assert serving_role(as_owner) == "dust_app"
    assert_append_only(as_owner, "SET ROLE dust_app")


def test_the_role_that_serves_requests_may_add_to_the_book_and_no_more(empty: str) -> None:
    migrations.upgrade(empty)
    assert_append_only(empty, "SET ROLE dust_app")
    with psycopg.connect(empty) as connection:
        connection.execute("SET ROLE dust_app")
        connection.execute(ADD_ROW)
        forbidden = ["DELETE FROM webhook_event", "DROP TABLE dust_lot"]
        if connection.info.server_version >= 150_000:
            # Before 15 every user may create tables in the schema `public`.
            forbidden.append("CREATE TABLE mine (id int)")
        for statement in forbidden:
            with pytest.raises(psycopg.Error), connection.transaction():
                connection.execute(statement)
