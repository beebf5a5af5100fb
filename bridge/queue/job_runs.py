"""Decides whether a periodic job is due, and stores when each last ran.

A task that the scheduler sent first calls `start_run` with its name. So the database decides when a job runs, whenever
the scheduler was started and however many messages it sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Connection, DateTime, Table, Text, case, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from bridge.db import metadata

last_run = Table(
    "last_run",
    metadata,
    Column("name", Text, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("result", JSONB, nullable=False),
)

# Names of results that alerts read, with the time of the test clock.
BEAT = "beat"
AUDIT = "audit"


# Header of the scheduler's messages: minimum seconds between the starts of two runs.
MIN_GAP_HEADER = "dust_min_gap_seconds"
# Header: whether a job that never ran waits for its first interval. Without it such a job is due at once.
WAITS_AT_FIRST_HEADER = "dust_waits_at_first"
_RUNNING, _DONE, _FAILED = "running", "done", "failed"


@dataclass(frozen=True, kw_only=True)
class Run:
    at: datetime
    result: Mapping[str, Any]


def record_run(connection: Connection, name: str, result: Mapping[str, Any], *, now: datetime) -> None:
    """Store this run in place of the previous one."""
    values = {"at": now, "result": result}
    statement = insert(last_run).values(name=name, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


def start_run(
    connection: Connection,
    name: str,
    task_id: str,
    *,
    min_gap: timedelta,
    time_limit: timedelta,
    waits_at_first: bool = False,
    now: datetime,
) -> bool:
    """Start a run. Returns False if one started less than `min_gap` ago, or is still running.

    - A run older than `time_limit` counts as killed.
    - A task that is delivered again can start its run again.
    - A run in the future was written by a clock that was ahead, and is ignored. So is a failed run.
    - With `waits_at_first` a job that never ran counts as done now.
    """
    if waits_at_first:
        first = insert(last_run).values(name=name, at=now, result={"task_id": "", "state": _DONE})
        connection.execute(first.on_conflict_do_nothing())
    statement = insert(last_run).values(name=name, at=now, result={"task_id": task_id, "state": _RUNNING})
    state = last_run.c.result["state"].astext
    since = case((state == _DONE, now - min_gap), (state == _RUNNING, now - time_limit), else_=now)
    recent = (last_run.c.at <= now) & (last_run.c.at > since)
    delivered_again = (state == _RUNNING) & (last_run.c.result["task_id"].astext == task_id)
    started = connection.execute(
        statement.on_conflict_do_update(
            index_elements=["name"],
            set_={"at": statement.excluded.at, "result": statement.excluded.result},
            where=~recent | delivered_again,
        ).returning(last_run.c.name)
    )
    return started.one_or_none() is not None


def end_run(connection: Connection, name: str, task_id: str, *, failed: bool = False) -> None:
    """Store that a started run is done, or has failed."""
    own = (last_run.c.name == name) & (last_run.c.result["task_id"].astext == task_id)
    connection.execute(
        update(last_run).where(own).values(result={"task_id": task_id, "state": _FAILED if failed else _DONE})
    )


def read_runs(connection: Connection) -> dict[str, Run]:
    """The last run of each job by name. Jobs that never ran are left out."""
    return {row.name: Run(at=row.at, result=row.result) for row in connection.execute(select(last_run))}
