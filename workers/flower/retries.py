"""Retry a failed task: once, recorded, with its exact arguments."""

import inspect
from collections.abc import Collection

import structlog
from celery import Celery, states
from celery.events.state import Task as Record
from celery.utils import uuid
from kombu.exceptions import OperationalError

from bridge.clock import now
from bridge.db import transaction
from bridge.errors import Conflict, NotFound, Unavailable
from bridge.queue.operator_retries import TaskRetry, claim_retry, lock_retry, mark_sent, sent_retries
from workers.app import DustTask
from workers.flower.failures import FailedTask, recorded_failure, stored_failures

log = structlog.get_logger(__name__)


class UnknownTask(NotFound):
    """Neither Flower nor the result backend knows this task."""

    code = "unknown_task"

    def __init__(self, task_id: str) -> None:
        super().__init__(f"There is no record of a task {task_id}. A failed event is still in `dust events`.")


class TaskNotFailed(Conflict):
    """The task has not failed, so it cannot be retried."""

    code = "task_not_failed"

    def __init__(self, task_id: str, state: str) -> None:
        super().__init__(f"Task {task_id} is {state}, it has not failed.")


class TaskNotRetryable(Conflict):
    """The task is not one of ours, or is not marked as retryable."""

    code = "task_not_retryable"
    status = 403

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not a task that may be retried from here.")


class WrongArguments(Conflict):
    """The failed task was sent with arguments that it does not take, so it would fail again."""

    code = "wrong_arguments"
    status = 422

    def __init__(self, name: str, error: TypeError) -> None:
        super().__init__(f"{name} does not take the arguments that it was sent with ({error}): send a new task.")


class BrokerAway(Unavailable):
    """The task could not be sent."""

    code = "broker_unavailable"
    message = "The broker is out of reach, so the task was not sent. Retry it again shortly."


def is_retryable(app: Celery, name: str | None) -> bool:
    """Whether tasks of this name may be retried by an operator."""
    task = app.tasks.get(name)
    return isinstance(task, DustTask) and task.retryable


def retry_task(
    app: Celery, task_id: str, record: Record | None, *, operator: str
) -> tuple[TaskRetry, FailedTask | None]:
    """Send a failed task again. A second call does nothing, and returns the first result.

    `record` is Flower's record of the task. The second value is the task, or None if it had been sent before.

    Raises `UnknownTask`, `TaskNotFailed`, `TaskNotRetryable`, `ArgumentsCut`, `WrongArguments`, `BrokerAway`,
    `DatabaseAway`, and what the task's own `before_operator_retry` raises. After each of them it can be called again.
    """
    earlier = retries_by_task([task_id]).get(task_id)
    if earlier:
        return earlier, None
    failure = find_failure(app, task_id, record)
    if not is_retryable(app, failure.name):
        raise TaskNotRetryable(failure.name)
    task: DustTask = app.tasks[failure.name]
    try:
        inspect.signature(task.run).bind(*failure.args, **failure.kwargs)
    except TypeError as error:
        raise WrongArguments(failure.name, error) from None
    with transaction() as connection:
        claim = {"task_name": failure.name, "new_task_id": uuid(), "operator": operator, "now": now()}
        if claim_retry(connection, task_id, **claim):
            task.before_operator_retry(connection, *failure.args, **failure.kwargs)
    return _send_once(task, failure)


def find_failure(app: Celery, task_id: str, record: Record | None) -> FailedTask:
    """Return a failed task with all its arguments. Raises `UnknownTask`, `TaskNotFailed`, `ArgumentsCut`."""
    kept = stored_failures(app, [task_id]).get(task_id)
    if kept:
        return kept
    if record is None:
        raise UnknownTask(task_id)
    if record.state != states.FAILURE:
        raise TaskNotFailed(task_id, record.state)
    return recorded_failure(record)


def retries_by_task(task_ids: Collection[str]) -> dict[str, TaskRetry]:
    """Return the sent retries of these tasks, by the failed task's id."""
    with transaction() as connection:
        return {retry.task_id: retry for retry in sent_retries(connection, task_ids)}


def _send_once(task: DustTask, failure: FailedTask) -> tuple[TaskRetry, FailedTask | None]:
    """Send a claimed retry, unless it was sent.

    The claim is committed before the message is sent; otherwise a fast worker would not see the effect of
    `before_operator_retry`. The row's lock is held while sending, so of two concurrent requests one sends. Sending is
    one message, within the broker's timeouts. After a kill in between, the next request sends the message again under
    the same id.
    """
    with transaction() as connection:
        retry = lock_retry(connection, failure.task_id)
        if retry.sent_at:
            return retry, None
        try:
            task.apply_async(failure.args, failure.kwargs, task_id=retry.new_task_id)
        except OperationalError as error:
            raise BrokerAway from error
        retry = mark_sent(connection, failure.task_id, now=now())
    log.info("task_retried", task=failure.name, task_id=retry.task_id, new=retry.new_task_id, operator=retry.operator)
    return retry, failure
