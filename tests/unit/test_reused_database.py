"""A reused database equals a new copy."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.support.databases import ReusedDatabase

_INSERT = (
    "INSERT INTO guest_escrow_entry (order_id, amount, kind, created_at)"
    " SELECT 'order_1', 5, 'escrowed', to_timestamp(0) FROM generate_series(1, {}) RETURNING id"
)


@pytest.fixture
def reused(postgres: str) -> Iterator[ReusedDatabase]:
    database = ReusedDatabase(postgres)
    yield database
    database.drop()


def use(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement)


@pytest.mark.parametrize("rows", [3, 10_000])
def test_it_is_empty_and_its_numbers_start_again(reused: ReusedDatabase, rows: int) -> None:
    with reused.borrowed() as first:
        use(first, _INSERT.format(rows))
    with reused.borrowed() as second, psycopg.connect(second) as connection:
        assert second == first
        assert connection.execute("SELECT count(*) FROM guest_escrow_entry").fetchone() == (0,)
        assert connection.execute(_INSERT.format(1)).fetchone() == (1,)
        size = connection.execute("SELECT pg_relation_size('guest_escrow_entry')").fetchone()
        assert size is not None
        assert size[0] <= 10 * 8192


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE dust_transaction DISABLE TRIGGER USER",
        "CREATE INDEX another ON dust_lot (remaining)",
        "CREATE FUNCTION wait() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "REVOKE INSERT ON dust_lot FROM dust_app",
        "ANALYZE dust_lot",
        "UPDATE alembic_version SET version_num = 'none'",
    ],
)
def test_a_database_that_was_changed_is_not_used_again(reused: ReusedDatabase, change: str) -> None:
    with reused.borrowed() as first:
        use(first, change)
    with reused.borrowed() as second:
        assert second != first


def test_connections_that_a_test_left_open_are_ended(reused: ReusedDatabase) -> None:
    with reused.borrowed() as first:
        left = psycopg.connect(first)
        left.execute("LOCK TABLE dust_lot")
    with reused.borrowed() as second:
        assert second == first
    with pytest.raises(psycopg.OperationalError):
        left.execute("SELECT 1")
    left.close()
