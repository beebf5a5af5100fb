"""The query with which the plugin takes events out of its outbox, on a real Postgres."""

import re
from collections.abc import Iterator

import psycopg
import pytest

from tests.support.source_files import ROOT

_MODULE = ROOT / "medusa-plugin/src/modules/dust"
_SERVICE = (_MODULE / "service.ts").read_text()
LEASE_SECONDS, FAR_AHEAD_SECONDS = (
    int(re.findall(rf"const {name} = (\d+)", _SERVICE)[0]) for name in ("LEASE_SECONDS", "FAR_AHEAD_SECONDS")
)


@pytest.fixture
def outbox(postgres: str) -> Iterator[psycopg.Connection]:
    """A connection with a temporary copy of the plugin's table."""
    [migration] = _MODULE.glob("migrations/Migration20261126095439.ts")
    [table] = re.findall(r"create table if not exists (\"dust_outbox\" .+?);", migration.read_text(), re.DOTALL)
    with psycopg.connect(postgres) as connection:
        connection.execute(f"create temp table {table}".encode())
        yield connection
        connection.rollback()


def put(outbox: psycopg.Connection, *, due_in_seconds: int, state: str = "waiting") -> None:
    outbox.execute(
        "insert into dust_outbox (id, type, data, occurred_at, state, next_attempt_at)"
        " values (%s, 'order.placed', '{}', now(), %s, now() + make_interval(secs => %s))",
        [f"{state} {due_in_seconds}", state, due_in_seconds],
    )


def claim(outbox: psycopg.Connection, limit: int = 10) -> list[str]:
    [query] = re.findall(r"async claim\(.+?`(.+?)`", _SERVICE, re.DOTALL)
    statement = query.replace("?", "%s").encode()
    return [row[0] for row in outbox.execute(statement, [LEASE_SECONDS, FAR_AHEAD_SECONDS, limit])]


def test_an_event_is_claimed_once_it_is_due(outbox: psycopg.Connection) -> None:
    for seconds in (-1, 0, 2, 60):
        put(outbox, due_in_seconds=seconds)
    put(outbox, due_in_seconds=0, state="rejected")
    assert sorted(claim(outbox)) == ["waiting -1", "waiting 0"]
    # Each is leased now.
    assert claim(outbox) == []


def test_an_event_that_a_clock_ahead_has_written_is_not_kept_for_hours(outbox: psycopg.Connection) -> None:
    put(outbox, due_in_seconds=3 * 3600)
    assert claim(outbox) == ["waiting 10800"]
