"""Failed tasks that an operator sent again from Flower: when, by whom and as what.

Flower forgets, and its history is a file beside it; this is the record that can be relied on. One row for a failed
task, whoever asks how often: the second click finds the first one's.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, Column, Connection, DateTime, Row, Table, Text, any_, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from bridge.db import metadata

task_retry = Table(
    "task_retry",
    metadata,
    # The task that failed.
    Column("task_id", Text, primary_key=True),
    Column("task_name", Text, nullable=False),
    Column("new_task_id", Text, nullable=False, unique=True),
    Column("operator", Text, nullable=False),
    Column("asked_at", DateTime(timezone=True), nullable=False),
    # Null: not yet; the broker was away, or the process died between the two.
    Column("sent_at", DateTime(timezone=True)),
)


@dataclass(frozen=True, kw_only=True)
class TaskRetry:
    """`new_task_id` is what `task_id` was sent as, once `sent_at` is set."""

    task_id: str
    task_name: str
    new_task_id: str
    operator: str
    asked_at: datetime
    sent_at: datetime | None


def claim_retry(
    connection: Connection, task_id: str, *, task_name: str, new_task_id: str, operator: str, now: datetime
) -> bool:
    """Note that this task is to be sent again; False when somebody has asked for it before."""
    added = connection.execute(
        insert(task_retry)
        .values(task_id=task_id, task_name=task_name, new_task_id=new_task_id, operator=operator, asked_at=now)
        .on_conflict_do_nothing(index_elements=["task_id"])
        .returning(task_retry.c.task_id)
    )
    return added.one_or_none() is not None


def lock_retry(connection: Connection, task_id: str) -> TaskRetry:
    """The retry of a task, which was claimed; nobody else can send it until the transaction ends."""
    query = select(task_retry).where(task_retry.c.task_id == task_id).with_for_update()
    return _retry(connection.execute(query).one())


def mark_sent(connection: Connection, task_id: str, *, now: datetime) -> TaskRetry:
    statement = update(task_retry).where(task_retry.c.task_id == task_id).values(sent_at=now).returning(task_retry)
    return _retry(connection.execute(statement).one())


def sent_retries(connection: Connection, task_ids: Collection[str]) -> list[TaskRetry]:
    """Every retry that was sent and that one of these tasks is part of, as the old task or as the new one."""
    # One array, however many they are: a statement has room for 65,535 parameters.
    asked = any_(literal(list(task_ids), ARRAY(Text)))
    query = select(task_retry).where(
        task_retry.c.sent_at.is_not(None), or_(task_retry.c.task_id == asked, task_retry.c.new_task_id == asked)
    )
    return [_retry(row) for row in connection.execute(query)]


def _retry(row: Row[Any]) -> TaskRetry:
    return TaskRetry(**row._mapping)
