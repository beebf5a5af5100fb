"""A role or a database can have other defaults than Postgres. Dust works with each, or reports why it cannot."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from fastapi.testclient import TestClient
from psycopg import sql
from sqlalchemy import text

from bridge.db import DatabaseReadOnly, dispose_engine, migrations, transaction
from bridge.db.migrations import MigrationRefused
from bridge.inbox.process_batch import process_batch
from bridge.operations.doctor import database as checks
from bridge.operations.doctor.finding import Wrong
from bridge.settings import get_settings
from tests.support import tokens
from tests.support.deliveries import deliver
from tests.support.orders import line, order, order_event

Alter = Callable[[str], None]


@pytest.fixture
def alter(settings: dict[str, str]) -> Iterator[Alter]:
    """`alter("SET …")` changes a default of the database."""
    url = settings["DUST_DATABASE_URL"]
    name = sql.Identifier(url.rpartition("/")[2])

    def change(clause: str) -> None:
        with psycopg.connect(url, options="-c default_transaction_read_only=off", autocommit=True) as owner:
            owner.execute(sql.SQL("ALTER DATABASE {} {}").format(name, sql.SQL(clause)))  # type: ignore[arg-type]
        dispose_engine()

    yield change
    change("RESET ALL")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PGTZ", "Asia/Kathmandu"),
        ("PGDATESTYLE", "German, DMY"),
        ("PGDATESTYLE", "SQL, MDY"),
        ("PGCLIENTENCODING", "latin1"),
        ("PGOPTIONS", "-c timezone=Asia/Kathmandu -c default_transaction_isolation=serializable"),
    ],
)
def test_points_are_earned_with_any_variable_of_psql(
    api: TestClient, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    dispose_engine()
    earn_and_look(api)
    assert checks._sessions(get_settings())
    dispose_engine()


@pytest.mark.parametrize(
    "default",
    [
        "DateStyle = 'German, DMY'",
        "DateStyle = 'SQL, MDY'",
        "client_encoding = 'latin1'",
        "default_transaction_isolation = 'serializable'",
        "standard_conforming_strings = off",
        "bytea_output = 'escape'",
        "IntervalStyle = 'sql_standard'",
        "extra_float_digits = -5",
        "TimeZone = 'Asia/Kathmandu'",
        "default_transaction_deferrable = on",
        "transform_null_equals = on",
        "array_nulls = off",
    ],
)
def test_points_are_earned_with_any_default_of_the_database(api: TestClient, alter: Alter, default: str) -> None:
    alter(f"SET {default}")
    earn_and_look(api)


def earn_and_look(api: TestClient) -> None:
    deliver(api, order_event(order(lines=[line(price=100)])))
    assert process_batch().taken == 1
    adjusted = {"amount": 5, "reason": "Grüße 🎉 \\ '"}
    headers = {**tokens.admin(), "idempotency-key": "key"}
    assert api.post("/admin/dust/customers/cus_1/adjustments", json=adjusted, headers=headers).status_code == 201
    assert api.get("/store/dust/balance", headers=tokens.customer()).json()["balance"] == 105
    assert api.get("/admin/dust/events", headers=tokens.admin()).json()["events"][0]["state"] == "handled"
    assert api.get("/health/ready").status_code == 200


def test_each_statement_sees_what_was_committed_before_it(alter: Alter) -> None:
    """Dust takes its locks first and reads after them. With one snapshot per transaction it would read old rows."""
    alter("SET default_transaction_isolation = 'repeatable read'")
    with transaction() as connection:
        assert connection.scalar(text("SHOW transaction_isolation")) == "read committed"


def test_a_read_only_database_is_named_as_such(api: TestClient, alter: Alter) -> None:
    alter("SET default_transaction_read_only = on")
    response = deliver(api, order_event(order()))
    assert (response.status_code, response.json()["code"]) == (503, "database_read_only")
    assert response.headers["retry-after"]
    with pytest.raises(DatabaseReadOnly, match="accepts no writes"):
        process_batch()
    assert api.get("/store/dust", headers=tokens.customer()).json() == {"points": 0}
    ready = api.get("/health/ready")
    assert (ready.status_code, ready.json()["degraded"]) == (200, ["broker", "database_writes"])
    with pytest.raises(Wrong, match="accepts no writes"):
        checks._database(get_settings())


@pytest.fixture
def empty_database(postgres: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute("CREATE DATABASE refused")
        admin.execute("CREATE ROLE guest LOGIN PASSWORD 'guest' NOCREATEROLE")
        yield admin
        admin.execute("DROP DATABASE refused WITH (FORCE)")
        admin.execute("DROP ROLE guest")


def test_migrate_says_in_plain_words_why_it_may_not(empty_database: psycopg.Connection, postgres: str) -> None:
    owner = f"{postgres.rpartition('/')[0]}/refused"
    guest = f"postgresql://guest:guest@{owner.rpartition('@')[2]}"
    empty_database.execute("REVOKE CREATE ON DATABASE refused FROM PUBLIC")
    with psycopg.connect(owner, autocommit=True) as admin:
        # Until Postgres 14, everybody may create tables in it.
        admin.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    with pytest.raises(MigrationRefused, match=r"permission denied for schema public.*DUST_OWNER_DATABASE_URL"):
        migrations.upgrade(guest)
    empty_database.execute("ALTER DATABASE refused SET search_path = elsewhere")
    with pytest.raises(MigrationRefused, match=r"no schema has been selected.*search_path"):
        migrations.upgrade(owner)
    empty_database.execute("ALTER DATABASE refused SET default_transaction_read_only = on")
    with pytest.raises(DatabaseReadOnly):
        migrations.upgrade(owner)
    empty_database.execute("ALTER DATABASE refused RESET ALL")
