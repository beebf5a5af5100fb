"""A process whose clock is wrong does nothing too early: all go by the clock of the database."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from structlog.testing import capture_logs

from bridge.clock import machine_now, now, real_now
from bridge.db import server_clock, transaction
from bridge.reports.closes import list_closes
from bridge.reports.reading import reading
from tests.support import tokens
from tests.support.clock import START, advance, moved
from tests.support.medusa import FakeMedusa
from tests.support.orders import line, order
from tests.support.settling import balance, have_rules, settle
from workers import upkeep
from workers.programme import publish_drafts

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def postgres_clock() -> Iterator[list[datetime]]:
    """The time that Postgres says, for the test to set."""
    present = [START]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            server_clock, "read_clock", lambda connection: connection.execute(text("SELECT 1")) and present[0]
        )
        for name in ("_ahead", "_measure_at"):
            patched.setattr(server_clock, name, getattr(server_clock, name))
        yield present


def read_again() -> None:
    with transaction():
        pass


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("ahead", [DAY, -DAY])
def test_a_wrong_clock_is_corrected_and_noted_once(ahead: timedelta) -> None:
    with moved(ahead), capture_logs() as logs:
        read_again()
        read_again()
        assert (now(), real_now(), machine_now()) == (START, START, START + ahead)
    with capture_logs() as later:
        read_again()
        assert now() == real_now() == machine_now() == START
    seconds = [[line.get("database_ahead_seconds") for line in lines] for lines in (logs, later)]
    assert seconds == [[-ahead.total_seconds()], [0]]


@pytest.mark.usefixtures("settings")
def test_a_difference_of_seconds_is_none(postgres_clock: list[datetime]) -> None:
    postgres_clock[0] += server_clock.CLOCK_TOLERANCE - timedelta(seconds=1)
    with moved(timedelta(microseconds=1)):
        read_again()
        assert real_now() == machine_now()


@pytest.mark.usefixtures("settings")
def test_the_clock_of_postgres_is_read_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    read, present = [], [0.0]
    monkeypatch.setattr(server_clock, "read_clock", lambda _: read.append(present[0]) or datetime.now(UTC))
    monkeypatch.setattr("bridge.db.server_clock.time.monotonic", lambda: present[0])
    for _ in range(200):
        present[0] += 1
        advance(timedelta(seconds=1))
        read_again()
    assert read == [1, 61, 121, 181]


@pytest.mark.usefixtures("settings")
def test_a_report_has_a_snapshot_of_its_own_when_the_clock_is_due() -> None:
    with moved(DAY), reading() as connection:
        assert connection.scalar(text("SHOW transaction_isolation")) == "repeatable read"
        assert now() == START


@pytest.mark.usefixtures("settings")
def test_a_day_is_not_closed_before_it_is_over() -> None:
    with moved(DAY):
        assert upkeep.close_days.run() == [(START - DAY).date().isoformat()]
    with transaction() as connection:
        assert [close.closed_at for close in list_closes(connection)] == [START]


@pytest.mark.usefixtures("settings")
def test_points_do_not_expire_too_early() -> None:
    have_rules(expires_after_days=1)
    settle(order(lines=[line(price=100)]))
    with moved(2 * DAY):
        assert upkeep.mature_and_expire.run() == 0
    assert balance().balance == 10_000


def test_a_draft_is_not_published_too_early(api: TestClient, medusa: FakeMedusa) -> None:
    draft: dict[str, Any] = {
        "name": "Summer",
        "document": {},
        "based_on": 0,
        "starts_at": (START + timedelta(hours=12)).isoformat(),
    }
    api.post("/admin/dust/programme/drafts", json=draft, headers=tokens.admin()).raise_for_status()
    with moved(DAY):
        read_again()
        assert publish_drafts.run() == 0
    with transaction() as connection:
        assert connection.scalar(text("SELECT count(*) FROM programme_version")) == 0
