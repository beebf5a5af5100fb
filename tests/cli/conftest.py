"""The `dust` command, run in this process."""

import sys
from collections.abc import Iterator

import pytest
import structlog

from bridge.cli import main
from tests.support.commands import Dust, Result


@pytest.fixture
def dust(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Dust]:
    """Run the command in this process. No task is enqueued: the sweep would find the rows."""
    for page in ("accounts", "events", "upkeep"):
        monkeypatch.setattr(f"bridge.cli.{page}.publish", lambda *_, **__: False)

    def run(*words: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["dust", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Result(code=int(ended.value.code or 0), out=out, err=err)

    yield run
    structlog.reset_defaults()
