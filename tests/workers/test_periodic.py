"""Periodic jobs run late rather than never: whatever the clocks, the queues, the scheduler's restarts and files do."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import celeryconfig
from bridge.clock import real_now
from bridge.db import DatabaseAway, transaction
from bridge.queue.job_runs import MIN_GAP_HEADER, end_run, start_run
from tests.support import clock
from tests.support.brokers import own_broker
from tests.support.clock import advance, moved
from tests.support.processes import eventually, running
from workers import upkeep
from workers.app import app
from workers.beat import Scheduler

DAY, HOUR, MINUTE = 86_400, 3600, 60
OFFSET = "TEST_CLOCK_OFFSET_SECONDS"


class Sent(Scheduler):
    """A scheduler that notes what it sends, for an application without a broker."""

    producer = None

    def __init__(self, **options: Any) -> None:
        self.sent: Counter[str] = Counter()
        super().__init__(app=app, **options)

    def apply_async(self, entry: Any, **_: Any) -> None:
        self.sent[entry.task] += 1


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock, for the test to move."""
    present = [time.monotonic()]
    monkeypatch.setattr("workers.beat.time.monotonic", lambda: present[0])
    return present


def run_for(beat: Sent, seconds: list[float], how_long: float) -> None:
    end = seconds[0] + how_long
    while seconds[0] < end:
        seconds[0] += max(beat.tick(), 0.001)


def test_the_scheduler_is_beat_s_and_keeps_no_file() -> None:
    assert app.conf.beat_scheduler == "workers.beat:Scheduler"
    assert "beat_schedule_filename" not in vars(celeryconfig)


def test_every_entry_is_sent_as_beat_starts_and_at_its_interval(seconds: list[float]) -> None:
    beat = Sent()
    beat.tick()
    assert beat.sent == Counter(entry["task"] for entry in celeryconfig.beat_schedule.values())
    run_for(beat, seconds, 10 * MINUTE)
    for entry in celeryconfig.beat_schedule.values():
        assert beat.sent[entry["task"]] == pytest.approx(1 + 600 / entry["schedule"].total_seconds(), abs=1)


def test_a_clock_that_jumps_changes_nothing(seconds: list[float]) -> None:
    beat = Sent()
    with moved(timedelta(hours=3)):
        run_for(beat, seconds, MINUTE)
        before = Counter(beat.sent)
    run_for(beat, seconds, MINUTE)
    assert all(beat.sent[task] > before[task] for task in before)


def test_no_message_expires() -> None:
    assert not [name for name, entry in celeryconfig.beat_schedule.items() if "expires" in entry.get("options", {})]


class Claims:
    """Claims of one job, each by a task of its own."""

    def __init__(self, min_gap: float, time_limit: float = MINUTE) -> None:
        self.min_gap, self.time_limit, self.number = timedelta(seconds=min_gap), timedelta(seconds=time_limit), 0

    def take(self, *, again: bool = False, waits_at_first: bool = False) -> bool:
        self.number += not again
        with transaction() as connection:
            return start_run(
                connection,
                "upkeep.erase_late_data",
                f"task_{self.number}",
                min_gap=self.min_gap,
                time_limit=self.time_limit,
                waits_at_first=waits_at_first,
                now=real_now(),
            )

    def end(self, *, failed: bool = False) -> None:
        with transaction() as connection:
            end_run(connection, "upkeep.erase_late_data", f"task_{self.number}", failed=failed)


@pytest.mark.usefixtures("settings")
class TestClaims:
    def test_a_daily_job_runs_once_a_day_however_often_it_is_asked_for(self) -> None:
        job, runs = Claims(DAY), 0
        for _ in range(3 * 24 * 4 + 1):
            if job.take():
                runs += 1
                job.end()
            advance(timedelta(minutes=15))
        assert runs == 4, "at once, and after one, two and three days"

    def test_the_first_comparison_with_medusa_waits_for_its_interval_whatever_restarts(self) -> None:
        job, hours = Claims(DAY), 0
        while not job.take(waits_at_first=True):
            advance(timedelta(hours=1))
            hours += 1
        assert hours == 24

    def test_two_at_once_are_one(self) -> None:
        job = Claims(DAY)
        assert [job.take(), job.take()] == [True, False]

    def test_one_that_failed_is_due_at_once(self) -> None:
        job = Claims(DAY)
        assert job.take()
        job.end(failed=True)
        assert job.take()

    def test_one_whose_worker_was_killed_is_due_when_its_time_is_over(self) -> None:
        job = Claims(DAY)
        assert job.take()
        assert job.take(again=True), "delivered again"
        advance(timedelta(seconds=MINUTE - 1))
        assert not job.take()
        advance(timedelta(seconds=1))
        assert job.take()

    def test_a_clock_that_was_ahead_does_not_keep_it_waiting(self) -> None:
        job = Claims(DAY)
        with moved(timedelta(hours=3)):
            assert job.take()
            job.end()
        assert job.take()


def asked_by_beat(task: Any, task_id: str, min_gap: float) -> Any:
    task.push_request(id=task_id, **{MIN_GAP_HEADER: min_gap})
    try:
        return task()
    finally:
        task.pop_request()


@pytest.mark.usefixtures("settings")
def test_a_job_is_skipped_when_beat_asks_too_soon_and_never_when_others_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[str] = []
    monkeypatch.setattr(upkeep, "fold", lambda _: runs.append("run") or 0)
    task = upkeep.fold_totals
    assert asked_by_beat(task, "1", 30) == 0
    assert "skipped" in asked_by_beat(task, "2", 30)
    advance(timedelta(seconds=30))
    assert asked_by_beat(task, "3", 30) == 0
    assert task() == 0
    assert len(runs) == 3


@pytest.mark.usefixtures("settings")
def test_a_job_that_failed_is_not_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> int:
        raise RuntimeError("no")

    with monkeypatch.context() as broken:
        broken.setattr(upkeep, "fold", fails)
        with pytest.raises(RuntimeError):
            asked_by_beat(upkeep.fold_totals, "1", DAY)
    assert asked_by_beat(upkeep.fold_totals, "2", DAY) == 0


@pytest.mark.usefixtures("settings")
def test_no_job_fails_while_postgres_is_away_and_each_is_due_at_once_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(*_: object, **__: object) -> int:
        raise DatabaseAway

    with monkeypatch.context() as outage:
        outage.setattr(upkeep, "fold", away)
        assert asked_by_beat(upkeep.fold_totals, "1", DAY) == f"Rescheduled: {DatabaseAway.message}"
        outage.setattr("workers.app.start_run", away)
        assert "Rescheduled" in asked_by_beat(upkeep.fold_totals, "2", DAY)
        with pytest.raises(DatabaseAway):
            # Retried by an operator, or sent with `dust trigger`.
            upkeep.fold_totals()
    assert asked_by_beat(upkeep.fold_totals, "3", DAY) == 0


@contextmanager
def cut_off_files(folder: Path) -> Iterator[None]:
    """What an older version left there, cut off in the middle."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("celerybeat-schedule", "celerybeat-schedule.db", "celerybeat-schedule.dat"):
        (folder / name).write_bytes(b"\x00\x01cut off")
    yield


@pytest.mark.servers
def test_all_jobs_run_by_real_processes_with_a_worker_whose_clock_is_ahead(
    settings: dict[str, str], tmp_path: Path
) -> None:
    """Daily ones too, once each, though beat starts twice and a file of an older version is cut off."""
    folder = tmp_path / "beat"
    periodic = {e["task"] for e in celeryconfig.beat_schedule.values() if "options" in e}

    def runs() -> dict[str, Any]:
        with transaction() as connection:
            return {row.name: row for row in connection.execute(text("SELECT * FROM last_run"))}

    def all_done() -> bool:
        return all(task in runs() and runs()[task].result["state"] == "done" for task in periodic)

    with own_broker() as broker, cut_off_files(folder), clock.running():
        environment = settings | {"DUST_BROKER_URL": broker.url, "DUST_DATA_DIR": str(folder)}
        ahead = {OFFSET: str(float(os.environ[OFFSET]) + 3 * HOUR)}
        with running(environment | ahead, worker="worker --concurrency 1"):
            with running(environment, beat="beat"):
                eventually(all_done)
            first = runs()
            with running(environment, again="beat"):
                eventually(lambda: runs()["products.mirror"].at > first["products.mirror"].at)
    for task in ("upkeep.erase_late_data", "outgoing.prune", "upkeep.audit"):
        assert runs()[task].at == first[task].at
