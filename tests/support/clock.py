"""The tests' clock: every test begins at `START`, and time does not move until the test moves it.

`tests/conftest.py` freezes the clock around each test but the live ones, the failure matrix and the benchmarks. All of
Python's clocks of the day stand still (`datetime.now`, `time.time`); monotonic clocks and timeouts go on.
Processes that a test starts take the same time over (`same_clock`); theirs runs on, and inside `running` ours does too.
Postgres' own clock plays no part: SQL gets the time as a parameter.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine

# A Wednesday at noon, far from the end of a month and from a change to summer or winter time.
START = datetime(2027, 5, 12, 12, tzinfo=UTC)
# How many seconds the clock of a process that a test starts is ahead of the machine's: see `same_clock`.
_OFFSET = "TEST_CLOCK_OFFSET_SECONDS"
_SAME_CLOCK = Path(__file__).with_name("same_clock")

_travel: time_machine.travel | None = None
_traveller: time_machine.Traveller | None = None
_running = 0


@contextmanager
def frozen() -> Iterator[None]:
    """Freeze the clock for one test. If a fixture of several tests keeps it running, it runs in all of them."""
    if not _running:
        _start()
    try:
        yield
    finally:
        if not _running:
            _stop()


@contextmanager
def running() -> Iterator[None]:
    """Inside the block the clock runs, in this process and in those that are started. Then it is frozen again."""
    global _running
    if _traveller is None:
        # A live test: all processes use the machine's clock already.
        yield
        return
    _running += 1
    if _running == 1:
        _set(time.time(), tick=True)
    try:
        yield
    finally:
        _running -= 1
        if not _running:
            _set(time.time(), tick=False)


@contextmanager
def moved(by: timedelta) -> Iterator[None]:
    """Inside the block this process's clock is ahead by `by`; afterwards it is as it was."""
    assert _traveller is not None, "only a frozen clock can be moved"
    _traveller.shift(by)
    try:
        yield
    finally:
        _traveller.shift(-by)


def advance(by: timedelta) -> None:
    """Move the clock ahead by `by` for the rest of the test."""
    assert _traveller is not None, "only a frozen clock can be moved"
    _traveller.shift(by)


def environment() -> dict[str, str]:
    """The variables that give a process this clock: for a process that does not inherit `os.environ`."""
    names = ("PYTHONPATH", _OFFSET, "LD_PRELOAD", "FAKETIME", "FAKETIME_DONT_FAKE_MONOTONIC")
    return {name: os.environ[name] for name in names if name in os.environ}


def machine_now() -> datetime:
    """The machine's own time, for code that does not use Python's clock, such as OpenSSL."""
    return time_machine.escape_hatch.datetime.datetime.now(UTC)


def _start() -> None:
    global _travel, _traveller
    _travel = time_machine.travel(START.timestamp(), tick=False)
    _traveller = _travel.start()
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{_SAME_CLOCK}:{path}" if path else str(_SAME_CLOCK)
    _set(START.timestamp(), tick=False)


def _stop() -> None:
    global _travel, _traveller
    assert _travel is not None
    _travel.stop()
    _travel = _traveller = None
    path = os.environ["PYTHONPATH"].removeprefix(str(_SAME_CLOCK)).removeprefix(":")
    if path:
        os.environ["PYTHONPATH"] = path
    else:
        del os.environ["PYTHONPATH"]
    del os.environ[_OFFSET]


def _set(moment: float, *, tick: bool) -> None:
    assert _traveller is not None
    _traveller.move_to(moment, tick=tick)
    # A running clock starts when it is first read, which is now.
    os.environ[_OFFSET] = str(time.time() - time_machine.escape_hatch.time.time())
