"""Retries of failed tasks from Flower: when, by whom and with which new task id.

Flower's own history is a file and is not complete, so this table is the reliable record. It has one row per failed
task: a second click finds the row of the first.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, DateTime, Table, Text, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from bridge.db import metadata
from bridge.db.bulk import among
from bridge.db.rows import TypedRow

task_retry = Table(
    "task_retry",
    metadata,
    # Id of the failed task.
    Column("task_id", Text, primary_key=True),
    Column("task_name", Text, nullable=False),
    Column("new_task_id", Text, nullable=False, unique=True),
    Column("operator", Text, nullable=False),
    Column("asked_at", DateTime(timezone=True), nullable=False),
    # Null: not sent yet, because the broker was unavailable or the process died before sending.
    Column("sent_at", DateTime(timezone=True)),
)


@dataclass(frozen=True, kw_only=True)
class TaskRetry(TypedRow):
    """A retry of task `task_id`. Once `sent_at` is set it was sent with the id `new_task_id`."""

    task_id: str
    task_name: str
    new_task_id: str
    operator: str
    asked_at: datetime
    sent_at: datetime | None


def claim_retry(
    connection: Connection, task_id: str, *, task_name: str, new_task_id: str, operator: str, now: datetime
) -> bool:
    """Record that this task is to be sent again. Returns False if a retry was requested before."""
    added = connection.execute(
        insert(task_retry)
        .values(task_id=task_id, task_name=task_name, new_task_id=new_task_id, operator=operator, asked_at=now)
        .on_conflict_do_nothing(index_elements=["task_id"])
        .returning(task_retry.c.task_id)
    )
    return added.one_or_none() is not None


def lock_retry(connection: Connection, task_id: str) -> TaskRetry:
    """Lock and return the claimed retry of a task. No other process can send it until the transaction ends."""
    query = select(task_retry).where(task_retry.c.task_id == task_id).with_for_update()
    return TaskRetry.from_row(connection.execute(query).one())


def mark_sent(connection: Connection, task_id: str, *, now: datetime) -> TaskRetry:
    statement = update(task_retry).where(task_retry.c.task_id == task_id).values(sent_at=now).returning(task_retry)
    return TaskRetry.from_row(connection.execute(statement).one())


def sent_retries(connection: Connection, task_ids: Collection[str]) -> list[TaskRetry]:
    """Sent retries that have one of these tasks as the old or as the new task."""
    query = select(task_retry).where(
        task_retry.c.sent_at.is_not(None),
        or_(among(task_retry.c.task_id, task_ids), among(task_retry.c.new_task_id, task_ids)),
    )
    return [TaskRetry.from_row(row) for row in connection.execute(query)]
