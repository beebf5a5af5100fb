"""No SQL reads Postgres' clock, and tests move only the tests' clock."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.source_files import ROOT, files_of

SQL_CLOCK = re.compile(
    r"(?<![.\w])(now\(\)|(clock|transaction|statement)_timestamp\(\)"
    r"|(current|local)_?time(stamp)?\b|current_date\b)",
    re.IGNORECASE,
)
# Their subject is Postgres' own clock, or a schema that was written long ago.
ASKS_POSTGRES = {
    ROOT / "bridge/operations/doctor/database.py",
    ROOT / "bridge/ledger/tables.py",
    # The plugin's query goes by the clock of Postgres.
    ROOT / "tests/bridge/test_plugin_outbox.py",
    ROOT / "tests/unit/test_one_clock.py",
}
# These use real servers with the machine's clock.
WALL_CLOCK = ("tests/live", "tests/faults", "tests/support/faults", "tests/containers")


def texts(page: Path) -> Iterator[tuple[int, str]]:
    """The strings of a file with their lines, without docstrings."""
    tree = ast.parse(page.read_text())
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body
        if isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def sql_clocks(page: Path) -> list[str]:
    clocks = [f"{page}:{line}" for line, text in texts(page) if SQL_CLOCK.search(text)]
    return clocks + [f"{page}: func.now" for _ in re.findall(r"func\.(now|current_)", page.read_text())]


def is_on_wall_clock(page: Path) -> bool:
    return page.relative_to(ROOT).as_posix().startswith(WALL_CLOCK)


@pytest.mark.parametrize("folder", ["bridge", "workers", "tests"])
def test_sql_gets_the_time_as_a_parameter(folder: str) -> None:
    pages = [page for page in files_of(folder) if page not in ASKS_POSTGRES and not is_on_wall_clock(page)]
    clocks = [clock for page in pages if "migrations/" not in str(page) for clock in sql_clocks(page)]
    assert clocks == [], "Pass bridge.clock.now() to the statement: Postgres does not know the tests' clock."


def test_tests_move_the_tests_clock() -> None:
    pages = [page for page in files_of("tests") if re.search(r"from bridge\.clock import .*\bmoved", page.read_text())]
    assert pages == [], "Import `moved` from tests.support.clock, which moves every clock of the process."


@pytest.mark.parametrize("statement", ["SELECT now()", "SET x = current_timestamp", "a < CURRENT_DATE", "localtime"])
def test_a_clock_in_sql_is_recognised(statement: str, tmp_path: Path) -> None:
    page = tmp_path / "page.py"
    page.write_text(f"QUERY = {statement!r}")
    assert sql_clocks(page) == [f"{page}:1"]
