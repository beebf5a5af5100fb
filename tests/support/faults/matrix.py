"""The failure matrix: its points are discovered in a running Dust, and each kind of point has its faults.

So a new commit, message or call to Medusa is covered without being listed.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bridge.development.stack.processes import until
from tests.support.faults.checker import check
from tests.support.faults.installation import Installation, Point
from tests.support.faults.workload import PATIENCE_SECONDS, History, walking

# By the kind of a point and its moment: what happens there.
_ACTIONS = {
    ("commit", "before"): ("kill", "parent", "postgres"),
    ("commit", "after"): ("kill", "cut"),
    ("publish", "before"): ("kill", "redis"),
    ("publish", "after"): ("kill", "redis-empty"),
    ("http", "before"): ("kill", "cut", "hang"),
    ("http", "after"): ("kill", "cut"),
    ("answer", "before"): ("kill",),
    # Acknowledged work is committed, so nothing may be missing after a restart of Postgres.
    ("answer", "after"): ("kill", "postgres"),
    ("receive", "after"): ("kill",),
    ("begin", "before"): ("kill", "parent"),
    ("end", "after"): ("kill",),
    ("ack", "before"): ("kill",),
    ("ack", "after"): ("kill",),
}
# What happens, in words: by the action, and for a kill by whom it strikes.
FAILURES = {
    "kill api": "API killed",
    "kill worker": "worker's parent killed",
    "kill child": "worker's child killed",
    "parent child": "parent killed under its child",
    "kill beat": "beat killed",
    "kill cli": "dust backfill killed",
    "cut": "TCP cut",
    "hang": "Medusa does it, then hangs",
    "postgres": "Postgres stopped at once",
    "redis": "Redis killed, data kept",
    "redis-empty": "Redis killed, data lost",
}
# Passed when the installation is set up, before the workload starts.
_NOT_ON_THE_ROAD = ("write_programme", "/admin/dust/programme")
_WALKS = 2
# A point that depends on the timing is not passed in every walk.
_TRIES = 3
# Periodic jobs run at least every ten seconds.
_CLOCK_SECONDS = 11
# The check costs CPU that the tested processes need.
_LOOK_AGAIN_SECONDS = 0.5
# Without a fault everything is done within this time. What is still wrong then is reported.
_UNDISTURBED_SECONDS = 180.0


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One field of the matrix."""

    point: Point
    action: str

    @property
    def failure(self) -> str:
        """What happens, in words."""
        return FAILURES.get(self.action) or FAILURES[f"{self.action} {self.point.role}"]

    def __str__(self) -> str:
        name = self.point.name.replace("bridge.", "").replace("/admin/", "").replace(" by ", "-by-").replace(" ", "-")
        return f"{self.action}-{self.point.role}-{self.point.kind}-{name}-{self.point.moment}"


def cells(points: Iterable[Point]) -> list[Cell]:
    """All faults of all points."""
    return sorted(
        (
            Cell(point=point, action=action)
            for point in points
            if not any(name in point.name for name in _NOT_ON_THE_ROAD)
            for action in _ACTIONS[point.kind, point.moment]
            if action != "parent" or point.role == "child"
        ),
        key=str,
    )


def discover(undisturbed: Callable[[], Installation]) -> list[Point]:
    """Run the workload undisturbed and return the points it passes. One test process does it for all."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    file = Path(tempfile.gettempdir()) / f"dust-fail-points-{run}"
    with file.open("a+") as points:
        fcntl.flock(points, fcntl.LOCK_EX)
        points.seek(0)
        lines = points.read().splitlines()
        if not lines:
            lines = sorted(map(str, _walk(undisturbed())))
            points.write("".join(f"{line}\n" for line in lines))
            points.flush()
    return [Point.read(line) for line in lines]


def _walk(installation: Installation) -> set[Point]:
    for number in range(_WALKS):
        with walking(installation, f"d{number}", backfilling=True) as (history, arrive):
            arrive()
        wait_until_correct(installation, history, seconds=_UNDISTURBED_SECONDS)
    return installation.passed()


def run_faults(installation: Installation, failures: Collection[Cell], histories: list[History]) -> list[Cell]:
    """Let each fault happen once during a workload, and check the results.

    Returns the faults that happened, as a point may not be passed. Adds the histories to `histories`.
    """
    assert until(installation.live, PATIENCE_SECONDS)
    wanted = {(cell.point, cell.action): cell for cell in failures}
    backfilling = any(cell.point.role == "cli" for cell in failures)
    mine: list[History] = []
    while len(mine) < _TRIES and not (mine and installation.fired() == wanted.keys()):
        with walking(installation, f"c{len(histories)}", backfilling=backfilling) as (history, arrive):
            if not mine:
                installation.arm(*wanted)
            mine.append(history)
            histories.append(history)
            arrive()
            until(lambda: installation.fired() == wanted.keys(), _CLOCK_SECONDS)
    installation.disarm()
    for history in mine:
        wait_until_correct(installation, history)
    return [wanted[fault] for fault in installation.fired()]


def wait_until_correct(installation: Installation, history: History, *, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until the database agrees with everything that was acknowledged."""
    wrong: list[str] = []

    def right() -> bool:
        try:
            wrong[:] = check(history, installation.database, installation.shop)
        except psycopg.OperationalError as error:
            # The last fault may just have stopped Postgres.
            wrong[:] = [f"Postgres is away: {error}"]
        if wrong:
            time.sleep(_LOOK_AGAIN_SECONDS)
        return not wrong

    assert until(right, seconds), wrong
