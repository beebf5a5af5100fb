"""The documentation: every link leads somewhere, every command and variable exists, the reference is whole."""

import re
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from bridge.cli import app
from bridge.settings import Settings
from tests.support.docs import HOOKS, ROOT

OUTSIDE = ("README.md", "CHANGELOG.md", "SECURITY.md", "medusa-plugin/README.md")
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *(ROOT / name for name in OUTSIDE)]
# Read by Compose, Flower, the tests or Medusa, and not by Dust.
OTHER_VARIABLES = {"DUST_URL", "DUST_WEBHOOK_SECRET"}

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def generated(file: Path) -> str | None:
    """The text of a page that docs/hooks.py writes; None for any other file."""
    name = str(file.resolve().relative_to(ROOT))
    write = HOOKS.PAGES.get(name.removeprefix("docs/"))
    return write() if write else None


def anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@every_page
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        text = generated(file)
        assert text is not None or file.exists(), target
        assert not anchor or anchor in anchors(text or file.read_text()), target


@pytest.mark.parametrize("page", [*PAGES, ROOT / "docs/reference/alerts.yml"], ids=lambda page: page.name)
def test_the_commands_of_a_page_exist(page: Path) -> None:
    commands = get_command(app)
    assert isinstance(commands, TyperGroup)
    for line in re.findall(r"(?:^|`)dust ([a-z-]+(?: [a-z-]+(?=[\s`]|$))?)", page.read_text(), re.MULTILINE):
        name, _, rest = line.partition(" ")
        command = commands.commands.get(name)
        assert command, line
        if isinstance(command, TyperGroup) and rest:
            assert rest in command.commands, line


@every_page
def test_the_variables_of_a_page_exist(page: Path) -> None:
    known = {f"DUST_{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
    assert set(re.findall(r"\bDUST_[A-Z_]*[A-Z]\b", page.read_text())) <= known


@pytest.mark.parametrize("page", [page for page in PAGES if "decisions" not in page.parts], ids=lambda page: page.name)
def test_the_files_of_a_page_exist(page: Path) -> None:
    for path in re.findall(r"`((?:bridge|workers|tests|docs|docker|benchmarks)/[\w./-]+)`", page.read_text()):
        assert (ROOT / path).exists(), path


def test_every_command_is_in_the_reference() -> None:
    page = HOOKS.cli_page()
    commands: Any = get_command(app)
    for name, command in commands.commands.items():
        assert f"## `dust {name}`" in page
        for part in getattr(command, "commands", {}):
            assert f"### `dust {name} {part}`" in page


def test_every_rule_of_the_programme_is_in_the_reference() -> None:
    page = HOOKS.programme_page()
    for field in (
        "time_zone",
        "pending_until_paid",
        "max_share",
        "code_ttl_minutes",
        "escrow_days",
        "negative_balance",
    ):
        assert f"| `{field}` |" in page


def test_every_route_is_in_the_reference() -> None:
    page = HOOKS.api_page()
    for route in ("POST /webhooks/medusa", "POST /store/dust/redemptions", "GET /admin/dust/reports/liability"):
        assert f"### {route}\n" in page
    assert "### RedemptionRequest\n" in page


TOUR = ROOT / "docs/tutorials/contributor.md"
# A path of the code tour starts at one of these. A bare file name may be in any folder.
ROOTS = [
    ROOT / part
    for part in ("", "medusa-plugin", "medusa-plugin/src/admin", "storefront-kit/src", "examples/storefront")
]
CODE = ("bridge", "workers", "medusa-plugin/src", "storefront-kit/src")
IDENTIFIER = re.compile(r"(?!DUST_)[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def code_files(token: str) -> list[Path]:
    """The files that a token of the tour names: a file, a folder, or a file's name; none for anything else."""
    is_file = re.search(r"\.(py|ts|tsx)$", token)
    paths = [root / token for root in ROOTS if (root / token).exists()]
    if is_file and not paths:
        paths = [path for part in CODE for path in (ROOT / part).rglob(token)]
    assert paths or not is_file, f"{token} does not exist"
    files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
    return [file for file in files if file.suffix in {".py", ".ts", ".tsx"}]


@pytest.mark.parametrize("row", re.findall(r"^\|[^|]+\|(.+`.+)\|$", TOUR.read_text(), re.MULTILINE))
def test_the_names_of_the_code_tour_are_in_its_files(row: str) -> None:
    tokens = {token: code_files(token) for token in re.findall(r"`([^`]+)`", row)}
    code = "\n".join(file.read_text() for files in tokens.values() for file in files)
    for token, files in tokens.items():
        if code and not files and IDENTIFIER.fullmatch(token):
            assert re.search(rf"\b{token.rpartition('.')[2]}\b", code), token
