"""Creates the tests of the failure matrix, and prints their outcomes as a table."""

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
from tests.support.faults.matrix import FAILURES, cells, discover, wait_until_correct
from tests.support.faults.workload import History

_KINDS = ("commit", "publish", "http", "answer", "receive", "begin", "end", "ack")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--only", default="", help="Of the failure matrix: cells with this in their name")
    parser.addoption("--together", type=int, default=12, help="How many of them happen in one walk; 1 to tell apart")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "batch" not in metafunc.fixturenames:
        return
    # Finding the fail points needs a running Dust, so only if these tests are selected.
    options = metafunc.config.option
    wanted = []
    if options.markexpr == "faults":
        wanted = [cell for cell in cells(discover(_installation_of_process)) if options.only in str(cell)]
        # Each walk has faults of all kinds, and each run has the same ones.
        random.Random(6).shuffle(wanted)
    batches = [wanted[start : start + options.together] for start in range(0, len(wanted), options.together)]
    metafunc.parametrize("batch", batches, ids=[f"walk{number}" for number in range(1, 1 + len(batches))])


# It runs from the discovery of the fail points to the end, so the faults hit the same installation.
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
    """The acknowledged requests of all cells of this process so far."""
    return []


@pytest.fixture(scope="session")
def shared_installation(histories: list[History]) -> Iterator[Installation]:
    """The installation that all cells of the matrix share. At the end all their results must be correct."""
    running = _installation_of_process()
    yield running
    for history in histories:
        wait_until_correct(running, history)
    environment = {**os.environ, "DUST_DATABASE_URL": running.database}
    audit = subprocess.run([*DUST, "audit"], env=environment, capture_output=True, text=True, check=False)
    assert audit.returncode == 0, audit.stdout


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print how many cells held for each fault and kind of point, which did not, and which planted bugs were found."""
    came: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    cells_by_outcome: dict[str, set[str]] = defaultdict(set)
    bugs: dict[str, bool] = {}
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        # Deselected tests have no report.
        if getattr(report, "when", None) != "call":
            continue
        noted = dict(report.user_properties)
        bugs |= noted.get("bugs", {})
        for name, failure, kind in noted.get("cells", ()):
            outcome = "broken" if report.failed else "held" if name in noted.get("happened", ()) else "not passed"
            came[failure, kind][outcome] += 1
            cells_by_outcome[outcome].add(name)
    if came:
        _print_table(terminalreporter, came)
        for outcome in ("broken", "not passed"):
            for name in sorted(cells_by_outcome[outcome]):
                terminalreporter.line(f"{outcome}: {name}")
        if cells_by_outcome["broken"]:
            terminalreporter.line(
                "All cells of a walk that broke are named; to tell them apart: --together 1 --only ..."
            )
    if bugs:
        terminalreporter.line(f"planted bugs: {sum(bugs.values())} of {len(bugs)} found")
        for name in sorted(bug for bug, was_found in bugs.items() if not was_found):
            terminalreporter.line(f"NOT FOUND: {name}")


def _print_table(terminalreporter: Any, came: dict[tuple[str, str], Counter[str]]) -> None:
    terminalreporter.section("the failure matrix: what happens × at what kind of point → cells that held / all cells")
    columns = [kind for kind in _KINDS if any(kind == name for _, name in came)] + ["all"]
    terminalreporter.line(f"{'':<30}" + "".join(f"{kind:>10}" for kind in columns))
    for failure in [failure for failure in FAILURES.values() if any(failure == name for name, _ in came)] + ["all"]:
        row = f"{failure:<30}"
        for column in columns:
            total = Counter[str]()
            for (fault, kind), outcomes in came.items():
                if failure in (fault, "all") and column in (kind, "all"):
                    total += outcomes
            row += f"{_share(total):>10}"
        terminalreporter.line(row)


def _share(outcomes: Counter[str]) -> str:
    return f"{outcomes['held']}/{outcomes.total()}" if outcomes else "·"
