"""Connections to Postgres that an administrator ends, at each statement of each command and of each periodic job."""

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import sqlalchemy
import structlog

import celeryconfig
from bridge.cli import main
from bridge.db import get_engine
from bridge.errors import Unavailable
from tests.support.ledger import give
from tests.support.medusa import FakeMedusa
from tests.support.orders import line, order
from tests.support.settling import balance, have_rules, settle
from workers.app import app

# The cursor of a connection that has ended is not closed.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")

_MAX_STATEMENTS = 300

COMMANDS = [
    "balance cus_1",
    "history cus_1",
    "explain cus_1",
    "adjust cus_1 5 --reason gift --description gift --key {key}",
    "merge cus_2 --into cus_1",
    "events",
    "retry --all-failed",
    "webhooks",
    "guests list",
    "product set prod_1 --price 5",
    "programme show",
    "programme versions",
    "reconcile",
    "audit",
    "report liability",
    "report movements",
    "report closes",
    "export {folder}/out.csv",
    "clock",
    "doctor",
]


@contextmanager
def killed_at(statement: int, database: str) -> Iterator[list[int]]:
    """End the connection before it sends this statement, counted from one; yields the number of statements."""
    sent = [0]
    with psycopg.connect(database, autocommit=True) as administrator:

        def count(_connection: Any, cursor: Any, *_: Any) -> None:
            sent[0] += 1
            if sent[0] == statement:
                pid = cursor.connection.info.backend_pid
                administrator.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

        engine = get_engine()
        sqlalchemy.event.listen(engine, "before_cursor_execute", count)
        try:
            yield sent
        finally:
            sqlalchemy.event.remove(engine, "before_cursor_execute", count)


def at_each_statement(database: str, run: Callable[[], None]) -> None:
    """Run it with a connection that is ended at the first statement, at the second, and so on, then undisturbed."""
    for statement in range(1, _MAX_STATEMENTS):
        with killed_at(statement, database) as sent:
            run()
        if sent[0] < statement:
            return
    raise AssertionError("it never ran undisturbed")


@pytest.fixture
def shop(settings: dict[str, str], medusa: FakeMedusa) -> Iterator[None]:
    app.loader.import_default_modules()
    have_rules(expires_after_days=30)
    settle(order(lines=[line(price=10)]))
    give(50)
    give(5, "cus_2")
    yield
    # Here, where the warning is ignored, and not in a later test.
    gc.collect()
    structlog.reset_defaults()


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_says_so_in_a_sentence(
    command: str, database: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command.format(key="key_1", folder=tmp_path).split()
    monkeypatch.setattr(sys, "argv", ["dust", *words])
    codes = []

    def run() -> None:
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        codes.append(ended.value.code or 0)
        if codes[-1] and words[0] != "doctor":
            assert "\ndust: The database is out of reach" in f"\n{err}"

    at_each_statement(database, run)
    assert codes[-1] == 0 or words[0] == "doctor", capsys.readouterr()
    assert set(codes[:-1]) <= {0, 1}
    if words[0] == "adjust":
        assert balance().balance == 1055


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("name", sorted({entry["task"] for entry in celeryconfig.beat_schedule.values()}))
def test_a_periodic_job_fails_as_unavailable_and_runs_the_next_time(name: str, database: str) -> None:
    structlog.reset_defaults()
    task: Any = app.tasks[name]
    outcomes = []

    def run() -> None:
        try:
            task.run()
            outcomes.append("done")
        except Unavailable:
            outcomes.append("unavailable")

    at_each_statement(database, run)
    assert outcomes[-1] == "done"
