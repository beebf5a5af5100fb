"""The matrix becomes tests here, and its outcomes a table."""

from collections import defaultdict
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest

from tests.faults.house import House, Servers, house, servers
from tests.faults.matrix import Cell, cells, discover
from tests.faults.road import History

_ACTIONS = ("kill", "cut", "hang", "postgres", "redis", "redis-empty")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cell" in metafunc.fixturenames:
        # Looking for the points takes a whole Dust: only when they are wanted.
        wanted = metafunc.config.option.markexpr == "faults"
        metafunc.parametrize("cell", cells(discover(_house_of_process)) if wanted else [], ids=str)


# Open from the first question for points until the end: what is disturbed is what was looked at undisturbed.
_kept = ExitStack()


@cache
def _servers_of_process() -> Servers:
    return _kept.enter_context(servers())


@cache
def _house_of_process() -> House:
    return _kept.enter_context(house(_servers_of_process()))


def pytest_unconfigure() -> None:
    _kept.close()


@pytest.fixture
def where() -> Servers:
    """Postgres and Redis for all fault tests of this process."""
    return _servers_of_process()


@pytest.fixture
def stricken() -> House:
    """The house that all cells of the matrix happen to, one after the other."""
    return _house_of_process()


@pytest.fixture(scope="module")
def histories() -> list[History]:
    """What was said to everybody in all cells so far."""
    return []


@pytest.fixture
def outcome(record_property: Any, cell: Cell) -> Any:
    """Says what came of a cell, for the table."""
    record_property("cell", (f"{cell.point.role:<6} {cell.point.kind:<7} {cell.point.name} {cell.point.moment}",
                             cell.action))  # fmt: skip
    return lambda text: record_property("outcome", text)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    table: dict[str, dict[str, str]] = defaultdict(dict)
    for reports in terminalreporter.stats.values():
        for report in reports:
            said = dict(getattr(report, "user_properties", ()))
            if "cell" in said and report.when == "call":
                point, action = said["cell"]
                good = f"{said.get('outcome', 'ok')} {report.duration:.1f} s"
                table[point][action] = {"passed": good, "skipped": "not passed"}.get(report.outcome, "FAILED")
    if not table:
        return
    width = max(map(len, table))
    terminalreporter.section("the failure matrix: fail point × what happens there → outcome")
    terminalreporter.line(" " * width + "".join(f"  {action:<11}" for action in _ACTIONS))
    for point, row in sorted(table.items()):
        terminalreporter.line(f"{point:<{width}}" + "".join(f"  {row.get(a, '·'):<11}" for a in _ACTIONS))
    shown = [text for row in table.values() for text in row.values()]
    bad, never = shown.count("FAILED"), shown.count("not passed")
    terminalreporter.line(f"{len(shown)} cells: {len(shown) - bad - never} hold, {bad} failed, {never} not passed")
