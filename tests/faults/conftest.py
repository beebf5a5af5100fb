"""The matrix becomes tests here, and its outcomes a table."""

import os
import random
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest

from bridge.development.stack.up import DUST
from tests.support.faults.installation import Installation, Servers, installation, servers
from tests.support.faults.matrix import DEATHS, cells, discover, holds
from tests.support.faults.workload import History

_KINDS = ("commit", "publish", "http", "answer", "receive", "begin", "end", "ack")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--only", default="", help="Of the failure matrix: cells with this in their name")
    parser.addoption("--together", type=int, default=12, help="How many of them happen in one walk; 1 to tell apart")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "batch" not in metafunc.fixturenames:
        return
    # Looking for the points takes a whole Dust: only when they are wanted.
    options = metafunc.config.option
    found = []
    if options.markexpr == "faults":
        found = [cell for cell in cells(discover(_installation_of_process)) if options.only in str(cell)]
        # Deaths of all kinds in each walk, and the same ones in each run.
        random.Random(6).shuffle(found)
    batches = [found[start : start + options.together] for start in range(0, len(found), options.together)]
    metafunc.parametrize("batch", batches, ids=[f"walk{number}" for number in range(1, 1 + len(batches))])


# Open from the first question for points until the end: what is disturbed is what was looked at undisturbed.
_kept = ExitStack()


@cache
def _servers_of_process() -> Servers:
    return _kept.enter_context(servers())


@cache
def _installation_of_process() -> Installation:
    return _kept.enter_context(installation(_servers_of_process()))


def pytest_unconfigure() -> None:
    _kept.close()


@pytest.fixture
def where() -> Servers:
    """Postgres and Redis for all fault tests of this process."""
    return _servers_of_process()


@pytest.fixture(scope="session")
def histories() -> list[History]:
    """What was said to everybody in all cells of this process so far."""
    return []


@pytest.fixture(scope="session")
def stricken(histories: list[History]) -> Iterator[Installation]:
    """The installation of all cells of the matrix, one after the other. At the end everything they left must hold."""
    found = _installation_of_process()
    yield found
    for history in histories:
        holds(found, history)
    environment = {**os.environ, "DUST_DATABASE_URL": found.database}
    audit = subprocess.run([*DUST, "audit"], env=environment, capture_output=True, text=True, check=False)
    assert audit.returncode == 0, audit.stdout


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How many cells hold of each death at each kind of point, which do not, and which planted bugs were found."""
    came: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    said: dict[str, set[str]] = defaultdict(set)
    bugs: dict[str, bool] = {}
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        # What was deselected is no report.
        if getattr(report, "when", None) != "call":
            continue
        noted = dict(report.user_properties)
        bugs |= noted.get("bugs", {})
        for name, death, kind in noted.get("cells", ()):
            what = "broken" if report.failed else "held" if name in noted.get("happened", ()) else "not passed"
            came[death, kind][what] += 1
            said[what].add(name)
    if came:
        _print_table(terminalreporter, came)
        for what in ("broken", "not passed"):
            for name in sorted(said[what]):
                terminalreporter.line(f"{what}: {name}")
        if said["broken"]:
            terminalreporter.line(
                "All cells of a walk that broke are named; to tell them apart: --together 1 --only ..."
            )
    if bugs:
        terminalreporter.line(f"planted bugs: {sum(bugs.values())} of {len(bugs)} found")
        for name in sorted(bug for bug, found in bugs.items() if not found):
            terminalreporter.line(f"NOT FOUND: {name}")


def _print_table(terminalreporter: Any, came: dict[tuple[str, str], Counter[str]]) -> None:
    terminalreporter.section("the failure matrix: what happens × at what kind of point → cells that held / all cells")
    columns = [kind for kind in _KINDS if any(kind == name for _, name in came)] + ["all"]
    terminalreporter.line(f"{'':<30}" + "".join(f"{kind:>10}" for kind in columns))
    for death in [death for death in DEATHS.values() if any(death == name for name, _ in came)] + ["all"]:
        row = f"{death:<30}"
        for column in columns:
            total = Counter[str]()
            for (what, kind), outcomes in came.items():
                if death in (what, "all") and column in (kind, "all"):
                    total += outcomes
            row += f"{_share(total):>10}"
        terminalreporter.line(row)


def _share(outcomes: Counter[str]) -> str:
    return f"{outcomes['held']}/{outcomes.total()}" if outcomes else "·"
