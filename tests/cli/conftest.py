"""The `dust` command, run in this process."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from bridge.cli import main


@dataclass(frozen=True, kw_only=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Dust = Callable[..., Said]


@pytest.fixture
def dust(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Dust]:
    """Run the command in this process. No hints go out: the sweep would find the rows."""
    for page in ("accounts", "events", "upkeep"):
        monkeypatch.setattr(f"bridge.cli.{page}.publish", lambda *_, **__: False)

    def run(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["dust", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Said(code=int(ended.value.code or 0), out=out, err=err)

    yield run
    structlog.reset_defaults()
