"""How far the clock of Postgres is ahead of this process's own clock.

All processes use the time of the database. A worker whose clock is a day ahead would expire points, publish drafts and
close days a day early, and none of these can be undone.
"""

import time
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import Connection, text

log = structlog.get_logger(__name__)

# Clocks that follow a time server differ by less. Tokens are accepted with this difference, webhooks with 300 seconds.
CLOCK_TOLERANCE = timedelta(seconds=10)
_MEASURE_AGAIN_SECONDS = 60.0
# The clock of the machine was set, or the machine was suspended.
_JUMP_SECONDS = 1.0

_ahead = timedelta()
_measure_at = 0.0
_clock_less_monotonic = 0.0


def ahead() -> timedelta:
    """How far the database's clock was ahead when it was last read; zero if it was within the tolerance."""
    return _ahead


def read_clock(connection: Connection) -> datetime:
    """The time of Postgres, in the middle of a transaction too."""
    moment: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return moment


def compare_clocks(connection: Connection) -> None:
    """Read the database's clock if it was not read for a minute, or if this machine's clock was set meanwhile.

    In a transaction of its own, because some transactions begin with settings that no statement may precede.
    """
    global _ahead, _measure_at, _clock_less_monotonic
    jump = time.time() - time.monotonic() - _clock_less_monotonic
    if time.monotonic() < _measure_at and abs(jump) < _JUMP_SECONDS:
        return
    before = datetime.now(UTC)
    there = read_clock(connection)
    connection.rollback()
    after = datetime.now(UTC)
    if after - before > CLOCK_TOLERANCE:
        return
    difference = there - (before + (after - before) / 2)
    if abs(difference) < CLOCK_TOLERANCE:
        difference = timedelta()
    if abs(difference - _ahead) >= CLOCK_TOLERANCE:
        log.warning("clock_differs_from_database", database_ahead_seconds=round(difference.total_seconds()))
    _ahead = difference
    _clock_less_monotonic = time.time() - time.monotonic()
    _measure_at = time.monotonic() + _MEASURE_AGAIN_SECONDS
