"""The failure matrix: which points there are is asked of a running Dust, and what can happen at each follows from it.

So a new commit, message or call to Medusa, wherever it is on the road, has its cells without anybody's writing them.
"""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from bridge.stack.processes import until
from tests.faults.checker import check
from tests.faults.house import House, Point
from tests.faults.road import PATIENCE_SECONDS, History, walking

# By the kind of a point and its moment: what happens there. `hang` is Medusa's part: it applies, and does not reply.
_ACTIONS = {
    ("commit", "before"): ("kill", "postgres"),
    ("commit", "after"): ("kill", "cut"),
    ("publish", "before"): ("kill", "redis"),
    ("publish", "after"): ("kill", "redis-empty"),
    ("http", "before"): ("kill", "cut"),
    ("http", "after"): ("kill", "cut", "hang"),
    ("answer", "before"): ("kill",),
    ("answer", "after"): ("kill",),
    ("receive", "after"): ("kill",),
    ("begin", "before"): ("kill",),
    ("end", "after"): ("kill",),
    ("ack", "before"): ("kill",),
    ("ack", "after"): ("kill",),
}
# Passed when the house is set up, before anybody walks the road.
_NOT_ON_THE_ROAD = ("write_programme", "/admin/dust/programme")
_WALKS = 2


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One field of the matrix."""

    point: Point
    action: str

    def __str__(self) -> str:
        name = self.point.name.replace("bridge.", "").replace("/admin/", "").replace(" by ", "-by-").replace(" ", "-")
        return f"{self.action}-{self.point.role}-{self.point.kind}-{name}-{self.point.moment}"


def cells(points: Iterable[Point]) -> list[Cell]:
    """Every action that the kind of each point knows."""
    return sorted(
        (
            Cell(point=point, action=action)
            for point in points
            if not any(name in point.name for name in _NOT_ON_THE_ROAD)
            for action in _ACTIONS[point.kind, point.moment]
        ),
        key=str,
    )


def discover(undisturbed: Callable[[], House]) -> list[Point]:
    """Walk the road undisturbed and see what is passed. Of several test processes one does it for all."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    file = Path(tempfile.gettempdir()) / f"dust-fail-points-{run}"
    with file.open("a+") as found:
        fcntl.flock(found, fcntl.LOCK_EX)
        found.seek(0)
        lines = found.read().splitlines()
        if not lines:
            lines = sorted(map(str, _walk(undisturbed())))
            found.write("".join(f"{line}\n" for line in lines))
            found.flush()
    return [Point.read(line) for line in lines]


def _walk(house: House) -> set[Point]:
    for number in range(_WALKS):
        with walking(house, f"d{number}") as (history, arrive):
            arrive()
        holds(house, history)
    return house.passed()


def holds(house: House, history: History) -> None:
    """In the end everything is as it was acknowledged; until then there may be things that wait."""
    wrong: list[str] = []

    def right() -> bool:
        wrong[:] = check(history, house.database, house.shop)
        return not wrong

    assert until(right, PATIENCE_SECONDS), wrong
