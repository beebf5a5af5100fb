"""The clock. All code gets the time as an argument or from here, so that it can be moved.

`now()` is the programme's time, for maturity, expiry and scheduling. In a test installation (`DUST_TEST_CLOCK`, set by
`dust up` with its own database) `dust clock` moves it for all processes: the offset is stored in the database.
`real_now()` is the real time, for signatures and for comparison with other machines. Both are the time of the database,
so that a machine whose clock is wrong does nothing too early or too late. `machine_now()` is this machine's own time.
"""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache, partial

from sqlalchemy import CheckConstraint, Column, Connection, Double, Integer, Table, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from bridge.db import make_engine, metadata, server_clock
from bridge.errors import Conflict
from bridge.per_process import PerProcess
from bridge.settings import get_settings

# How long a process caches the offset.
_LOOK_AGAIN_SECONDS = 1.0
_ROW = 1
_UNITS = {"w": timedelta(weeks=1), "d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}

test_clock = Table(
    "test_clock",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("offset_seconds", Double, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

_offset = timedelta()


class ClockIsFixed(Conflict):
    """The clock cannot be moved, because this is not a test installation."""

    code = "clock_is_fixed"
    message = (
        "Time can be moved only where things are tried out: in `dust up` with a database of its own, or with "
        "DUST_TEST_CLOCK=true in every process."
    )


def now() -> datetime:
    """The current time in UTC, moved by the test clock if `DUST_TEST_CLOCK` is set."""
    moment = real_now()
    return moment + _test_clock().offset() if get_settings().test_clock else moment


def real_now() -> datetime:
    """The current time in UTC by the database's clock, independent of `dust clock`.

    Before a process has used the database, it is the time of its machine.
    """
    return machine_now() + server_clock.ahead()


def machine_now() -> datetime:
    """The current time in UTC by this machine's clock."""
    return datetime.now(UTC) + _offset


@contextmanager
def moved(by: timedelta) -> Iterator[None]:
    """Move this process's clock ahead by `by` inside the block. The database's own clock does not move."""
    global _offset
    before, _offset = _offset, _offset + by
    try:
        yield
    finally:
        _offset = before


def read_span(text: object) -> timedelta:
    """Parse a time span: `30d`, `12h`, `45m`, `2w`, `1d12h`. Raises ValueError."""
    if not isinstance(text, str) or not re.fullmatch(r"([0-9]{1,5}[wdhm])+", text):
        raise ValueError(f"{text!r} is no span of time: say 30d, 12h, 45m, 2w or 1d12h")
    return sum((int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)([wdhm])", text)), timedelta())


def read_offset(connection: Connection) -> timedelta:
    """How far the test clock is ahead; zero if it was never moved."""
    return timedelta(seconds=connection.scalar(select(test_clock.c.offset_seconds)) or 0)


def move_clock(connection: Connection, offset: timedelta) -> None:
    """Set `now()` ahead of the real time by `offset`, in all processes within a second. Raises `ClockIsFixed`."""
    if not get_settings().test_clock:
        raise ClockIsFixed
    connection.execute(delete(test_clock))
    if offset:
        statement = insert(test_clock).values(id=_ROW, offset_seconds=offset.total_seconds())
        connection.execute(statement.on_conflict_do_nothing())


def reread_clock() -> None:
    """Drop the cached offset, so that the next `now()` reads it again."""
    _test_clock().expire()


class _TestClock:
    """Cache of the offset. One thread of a process refreshes it; the others use the last value meanwhile."""

    def __init__(self) -> None:
        self._reading = threading.Lock()
        self._offset = timedelta()
        # A separate connection, because `now()` is called inside transactions and must not wait for the pool.
        self._engine = cache(partial(make_engine, pool_size=1))
        self.expire()

    def expire(self) -> None:
        self._until = 0.0

    def offset(self) -> timedelta:
        # The first read blocks, because there is no last value.
        if time.monotonic() >= self._until and self._reading.acquire(blocking=not self._until):
            settings = get_settings()
            try:
                engine = self._engine(str(settings.database_url), pooled=settings.database_pooled)
                with engine.connect() as connection:
                    self._offset = read_offset(connection)
            except SQLAlchemyError:
                # The database is unavailable or not migrated. Code that needs it reports that.
                pass
            finally:
                self._until = time.monotonic() + _LOOK_AGAIN_SECONDS
                self._reading.release()
        return self._offset


_test_clock = PerProcess(_TestClock)
