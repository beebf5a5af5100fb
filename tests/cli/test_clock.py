"""`dust clock`: moves the time of all processes of a test installation, and of no other."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from bridge import clock
from bridge.cli import app
from bridge.cli import clock as command
from bridge.clock import ClockIsFixed, now
from bridge.db import transaction
from bridge.development.stack.up import may_move_time
from bridge.errors import FieldErrors
from bridge.inbox.process_batch import process_batch
from bridge.programme.rules import Programme
from bridge.programme.versions import add_version
from bridge.queue.enqueue import INBOX_DRAIN, OUTGOING_EXPIRING, REDEMPTIONS_SWEEP
from bridge.settings import Settings, get_settings
from tests.support import tokens
from tests.support.deliveries import deliver
from tests.support.orders import PLACED, line, order, order_event


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    tasks: list[str] = []
    monkeypatch.setattr(command, "publish", lambda task, **_: tasks.append(task))
    return tasks


@pytest.fixture
def movable(settings: dict[str, str], published: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUST_TEST_CLOCK", "true")
    get_settings.cache_clear()
    clock.reread_clock()


def dust(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["clock", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def ahead() -> timedelta:
    return now() - datetime.now(UTC)


def near(span: timedelta) -> bool:
    return abs(ahead() - span) < timedelta(minutes=5)


def test_only_a_stack_with_a_database_of_its_own_may_move_time_unless_configured() -> None:
    real = {"database_url": "postgresql://shop@db.test/dust"}
    assert may_move_time(Settings())
    assert not may_move_time(Settings(**real))
    assert may_move_time(Settings(**real, test_clock=True))
    assert not may_move_time(Settings(test_clock=False))


@pytest.mark.usefixtures("settings")
def test_the_clock_of_a_production_installation_cannot_be_moved(published: list[str]) -> None:
    with pytest.raises(ClockIsFixed):
        dust("+30d")
    assert near(timedelta())
    assert published == []


def test_a_stored_offset_is_ignored_where_the_test_clock_is_off(movable: None, monkeypatch: pytest.MonkeyPatch) -> None:
    dust("+30d")
    monkeypatch.delenv("DUST_TEST_CLOCK")
    get_settings.cache_clear()
    assert near(timedelta())


@pytest.mark.usefixtures("movable")
def test_time_moves_on_is_set_and_comes_back() -> None:
    assert "ahead" not in dust()
    dust("+1w2d")
    dust("+12h")
    assert near(timedelta(days=9, hours=12))
    assert json.loads(dust("--json"))["ahead_seconds"] == timedelta(days=9, hours=12).total_seconds()
    assert "9 days 12 h 0 min ahead" in dust()
    dust("set", "2031-01-01T00:00Z")
    assert (now().year, now().month, now().day) == (2031, 1, 1)
    dust("reset")
    assert near(timedelta())


@pytest.mark.parametrize(
    "arguments", [["+30"], ["+3y"], ["30d"], ["set"], ["set", "soon"], ["+1d", "more"], ["+999999w"], ["reset", "now"]]
)
@pytest.mark.usefixtures("movable")
def test_an_invalid_time_is_refused_with_a_message(arguments: list[str]) -> None:
    with pytest.raises(FieldErrors, match=r"^clock: "):
        dust(*arguments)
    assert near(timedelta())


def test_points_mature_and_expire_at_once_and_the_sweeps_are_enqueued(
    movable: None, api: TestClient, published: list[str]
) -> None:
    with transaction() as connection:
        rules = Programme.model_validate({"earn": {"pending_days": 10, "expires_after_days": 30}})
        add_version(connection, rules, author="test", now=PLACED)
    deliver(api, order_event(order(lines=[line(price=100)], placed=datetime.now(UTC))))
    process_batch()
    figures = []
    for step in ("+0d", "+11d", "+20d"):
        dust(step)
        # A token and a signature with the real time are still valid.
        balance = api.get("/store/dust/balance", headers=tokens.customer()).json()
        figures.append((balance["balance"], balance["pending"]))
        assert deliver(api, order_event(order("order_2", customer_id="cus_2"))).status_code in {200, 202}
    process_batch()
    assert figures == [(0, 100), (100, 0), (0, 0)]
    assert published[-3:] == [INBOX_DRAIN, REDEMPTIONS_SWEEP, OUTGOING_EXPIRING]


@pytest.mark.system
def test_other_processes_use_the_moved_clock(movable: None, settings: dict[str, str]) -> None:
    dust("+30d")
    environment = {**os.environ, **settings, "DUST_TEST_CLOCK": "true"}
    printed = subprocess.check_output(
        [sys.executable, "-c", "from bridge import clock; print(clock.now().isoformat())"], env=environment, text=True
    )
    assert abs(datetime.fromisoformat(printed.strip()) - now()) < timedelta(minutes=5)


def test_a_process_that_runs_already_notices_within_a_second_and_asks_no_more_often(
    movable: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert near(timedelta())
    asked: list[float] = []
    read = clock.read_offset
    monkeypatch.setattr(clock, "read_offset", lambda connection: asked.append(time.monotonic()) or read(connection))
    clock.reread_clock()
    for _ in range(10_000):
        now()
    assert len(asked) < 10
    monkeypatch.setattr(command, "reread_clock", lambda: None)
    dust("+30d")
    until = time.monotonic() + 30
    while not near(timedelta(days=30)) and time.monotonic() < until:
        time.sleep(0.05)
    assert near(timedelta(days=30))
