"""`Check`, `Finding` and `Wrong`, and what several checks need. Each check is in the module of what it examines."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.clock import real_now
from bridge.settings import Settings

# Tokens are accepted with ten seconds of clock difference, webhooks with 300.
CLOCK_TOLERANCE = timedelta(seconds=10)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Result of a check. `ok` is None if it was skipped. `fix` says what to do if `ok` is False."""

    check: str
    ok: bool | None
    detail: str
    fix: str = ""


class Wrong(Exception):
    """A check failed: what is wrong, and how to fix it."""

    def __init__(self, detail: str, *, fix: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fix = fix


@dataclass(frozen=True)
class Check:
    """A check. `run` returns a short text if all is well, or raises `Wrong`. Skipped unless the check `after` is ok."""

    name: str
    run: Callable[[Settings], str]
    after: str | None = None


def compare_clocks(time_there: datetime) -> str:
    ahead = time_there - real_now()
    if abs(ahead) > CLOCK_TOLERANCE:
        seconds = abs(ahead.total_seconds())
        raise Wrong(
            f"{seconds:.0f} s {'ahead of' if ahead > timedelta() else 'behind'} this machine's",
            fix="Let every machine follow a time server, for example with chrony: webhooks and tokens carry a time.",
        )
    return "goes with this machine's"
