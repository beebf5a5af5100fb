"""The documentation: every link leads somewhere, and every command in it exists."""

import re
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from bridge.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "medusa-plugin/README.md",
]  # fmt: skip

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@every_page
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


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
