"""Errors of Postgres have their own codes and reasons, and connections to a read-only server are dropped."""

import time
from contextlib import ExitStack, suppress

import psycopg
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from bridge.db import (
    DatabaseAway,
    DatabaseBehind,
    DatabaseBusy,
    DatabaseDenied,
    DatabaseLoginRefused,
    DatabaseReadOnly,
    dispose_engine,
    get_engine,
    transaction,
)
from bridge.settings import get_settings
from tests.support import tokens

pytestmark = pytest.mark.usefixtures("settings")


def fail_with(sqlstate: str) -> None:
    with transaction() as connection:
        connection.execute(text(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{sqlstate}'; END $$"))


@pytest.mark.parametrize(
    ("sqlstate", "reason"),
    [
        ("55P03", "lock_timeout"),
        ("57014", "statement_timeout"),
        ("40P01", "deadlock"),
        ("40001", "serialization failure"),
        ("53300", "max_connections"),
        ("53100", "disk"),
        ("53200", "memory"),
        ("53400", "temp_file_limit"),
        ("58030", "input/output"),
        ("58000", "system error"),
        ("58P01", "files"),
        ("XX000", "internal error"),
        ("26000", "pooler"),
        ("42P05", "pooler"),
        ("XX001", "damaged data"),
        ("XX002", "damaged index"),
        ("25P03", "idle_in_transaction_session_timeout"),
        ("25P04", "transaction_timeout"),
    ],
)
def test_a_busy_database_is_reported_with_its_reason(sqlstate: str, reason: str) -> None:
    with pytest.raises(DatabaseBusy, match=reason):
        fail_with(sqlstate)


@pytest.mark.parametrize("full", ["server", "database", "role"])
def test_a_connection_that_was_refused_as_one_too_many_is_busy(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    url = settings["DUST_DATABASE_URL"]
    database = url.rpartition("/")[2]
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("CREATE ROLE crowd LOGIN PASSWORD 'crowd'")
        monkeypatch.setenv("DUST_DATABASE_URL", f"postgresql://crowd:crowd@{url.rpartition('@')[2]}")
        get_settings.cache_clear()
        dispose_engine()
        with ExitStack() as crowd:
            try:
                if full == "role":
                    owner.execute("ALTER ROLE crowd CONNECTION LIMIT 0")
                elif full == "database":
                    owner.execute(f'ALTER DATABASE "{database}" CONNECTION LIMIT 0')  # type: ignore[arg-type]
                else:
                    with suppress(psycopg.OperationalError):
                        while True:
                            crowd.enter_context(psycopg.connect(get_settings().database_url or ""))
                with pytest.raises(DatabaseBusy, match="max_connections"), transaction():
                    pass
            finally:
                crowd.close()
                owner.execute(f'ALTER DATABASE "{database}" CONNECTION LIMIT -1')  # type: ignore[arg-type]
                dispose_engine()
                owner.execute("DROP ROLE crowd")


@pytest.mark.parametrize("wrong", ["password", "user", "database"])
def test_a_login_that_postgres_refuses_is_named(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    parts = {"user": "nobody", "password": "not-it", "database": "nowhere"}
    url = settings["DUST_DATABASE_URL"]
    login, _, address = url.removeprefix("postgresql://").rpartition("@")
    user, _, password = login.partition(":")
    host, _, database = address.partition("/")
    right = {"user": user, "password": password, "database": database}
    used = {name: parts[name] if name == wrong else right[name] for name in right}
    wrong_url = f"postgresql://{used['user']}:{used['password']}@{host}/{used['database']}"
    monkeypatch.setenv("DUST_DATABASE_URL", wrong_url)
    get_settings.cache_clear()
    dispose_engine()
    try:
        with (
            pytest.raises(DatabaseLoginRefused, match=r"authentication failed|does not exist") as refused,
            transaction(),
        ):
            pass
    finally:
        dispose_engine()
    assert "DUST_DATABASE_URL" in refused.value.message
    assert "not-it" not in refused.value.message


def test_a_transaction_that_was_ended_while_it_paused_is_named() -> None:
    def pauses() -> None:
        with transaction() as connection:
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = '20ms'"))
            time.sleep(0.5)
            connection.execute(text("SELECT 1"))

    with pytest.raises(DatabaseBusy, match="idle_in_transaction_session_timeout"):
        pauses()


def test_a_missing_privilege_is_no_fault_of_dust() -> None:
    with pytest.raises(DatabaseDenied, match=r"permission denied for table dust_transaction.*dust migrate"):
        run("DELETE FROM dust_transaction")


@pytest.mark.parametrize("sqlstate", ["57P01", "57P03", "08006"])
def test_a_server_that_shuts_down_or_starts_is_away(sqlstate: str) -> None:
    with pytest.raises(DatabaseAway):
        fail_with(sqlstate)


@pytest.mark.parametrize("sqlstate", ["54000", "54001", "54011", "54023"])
def test_a_value_too_large_for_postgres_is_not_retried(sqlstate: str) -> None:
    with pytest.raises(OperationalError):
        fail_with(sqlstate)


def test_a_table_that_is_not_there_yet_is_an_older_database() -> None:
    with pytest.raises(DatabaseBehind):
        fail_with("42P01")


def run(*statements: str) -> None:
    with transaction() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_real_lock_and_statement_timeouts_are_reported() -> None:
    lock = "LOCK TABLE currency IN ACCESS EXCLUSIVE MODE"
    with psycopg.connect(get_engine().url.render_as_string(False).replace("+psycopg", "")) as other:
        other.execute(lock)
        with pytest.raises(DatabaseBusy, match="lock_timeout"):
            run("SET LOCAL lock_timeout = '50ms'", lock)
    with pytest.raises(DatabaseBusy, match="statement_timeout"):
        run("SET LOCAL statement_timeout = '50ms'", "SELECT pg_sleep(5)")


def test_no_connection_to_a_server_that_became_a_standby_is_reused() -> None:
    def server_process() -> int:
        with transaction() as connection:
            return int(connection.scalar(text("SELECT pg_backend_pid()")) or 0)

    before = server_process()
    assert server_process() == before
    with pytest.raises(DatabaseReadOnly):
        fail_with("25006")
    assert server_process() != before


def test_a_shopper_does_not_read_what_is_wrong_with_the_database(
    api: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise DatabaseBusy("Two transactions waited for each other (deadlock).")

    monkeypatch.setattr("bridge.api.store.balance.read_points", fail)
    answer = api.get("/store/dust", headers=tokens.customer())
    assert (answer.status_code, answer.json()["code"]) == (503, "database_busy")
    assert answer.json()["detail"] == "Points are not available right now. Please try again in a moment."
    assert "deadlock" in caplog.text
