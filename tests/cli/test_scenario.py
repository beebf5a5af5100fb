"""`dust scenario` plays each file on its own database, independent of the environment."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.databases import NOWHERE

pytestmark = pytest.mark.system

_GOOD = "name: Good\nsteps:\n  - {adjust: ada, dust: 5}\n  - {expect: ada, balance: 5}\n"
_WRONG = "name: Wrong\nsteps:\n  - {expect: ada, balance: 5}\n"


def dust(*arguments: str) -> subprocess.CompletedProcess[str]:
    # The configured Medusa is unreachable, and the scenario does not need it.
    environment = {**os.environ, "DUST_DATABASE_URL": NOWHERE, "DUST_OUTGOING_WEBHOOK_URL": "http://127.0.0.1:1/"}
    command = [sys.executable, "-m", "bridge.cli", "scenario", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_stories_are_played_each_on_a_fresh_database_and_a_wrong_one_is_reported(tmp_path: Path) -> None:
    for name, story in {"good": _GOOD, "wrong": _WRONG}.items():
        (tmp_path / f"{name}.yaml").write_text(story)
    wrong = str(tmp_path / "wrong.yaml")
    played = dust(str(tmp_path / "good.yaml"), wrong, "--json")
    assert played.returncode == 1, played.stderr
    words = "ada: balance should be 5, and is 0"
    assert [played_step["failures"] for played_step in json.loads(played.stdout)] == [[], [{"line": 3, "words": words}]]


def test_an_unreadable_file_is_reported_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "story.yaml").write_text("name: x\nsteps:\n  - {dance: ada}\n")
    reported = dust(str(tmp_path / "story.yaml"))
    assert (reported.returncode, reported.stdout) == (1, "")
    assert reported.stderr.startswith(f"dust: {tmp_path}/story.yaml:3: a step says one of: order")
