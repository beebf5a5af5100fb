"""Failed tasks with their exact arguments.

The result backend stores each failure for 30 days with its exact arguments (`result_extended`). Flower's own record is
for display: arguments are cut at 1,024 characters and three levels, without a mark. It is used only without such a
backend (RabbitMQ), and only if certainly nothing was cut.
"""

import ast
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from celery import Celery, states
from celery.backends.redis import RedisBackend
from celery.events.state import Task as Record
from celery.utils.saferepr import saferepr
from redis.exceptions import RedisError

from bridge.errors import Conflict, Unavailable

log = structlog.get_logger(__name__)

_KEYS_AT_ONCE = 1000
# Marks of a cut, and characters that `saferepr` does not escape: with either, the text may differ from what was sent.
_DOUBTFUL = ("...", "\\")

Event = dict[str, Any]


class ArgumentsCut(Conflict):
    """The only record of the arguments is shortened, so the task cannot be sent again."""

    code = "arguments_cut"
    status = 422

    def __init__(self, task_id: str) -> None:
        super().__init__(f"Task {task_id}: its exact arguments are not known any more, so it cannot be sent again.")


class ResultsAway(Unavailable):
    """The result backend does not answer."""

    code = "results_unavailable"
    message = "Redis is out of reach, and with it the record of failed tasks. Try again shortly."


@dataclass(frozen=True, kw_only=True)
class FailedTask:
    """A failed task. `reason` is the error's message, without its traceback."""

    task_id: str
    name: str
    args: list[Any]
    kwargs: dict[str, Any]
    reason: str
    traceback: str | None = None
    worker: str | None = None
    failed_at: datetime | None = None


def stored_failures(app: Celery, task_ids: Collection[str]) -> dict[str, FailedTask]:
    """Return the result backend's records of the failed ones among these tasks. One that cannot be read is skipped."""
    backend = app.backend
    if not task_ids or not isinstance(backend, RedisBackend):
        return {}
    with _errors_translated():
        values = backend.mget([backend.get_key_for_task(task_id) for task_id in task_ids])
    failures = (_read(backend, task_id, value) for task_id, value in zip(task_ids, values, strict=True) if value)
    return {failure.task_id: failure for failure in failures if failure}


def stored_task_ids(app: Celery) -> set[str]:
    """Return the ids of all tasks in the result backend."""
    backend = app.backend
    if not isinstance(backend, RedisBackend):
        return set()
    prefix: bytes = backend.task_keyprefix
    with _errors_translated():
        keys: Iterator[bytes] = backend.client.scan_iter(match=prefix + b"*", count=_KEYS_AT_ONCE)
        return {key.removeprefix(prefix).decode(errors="replace") for key in keys}


def recorded_failure(record: Record) -> FailedTask:
    """Return a failed task from Flower's record alone.

    Raises `ArgumentsCut` unless the record is certainly complete.
    """
    try:
        args, kwargs = _parse_complete(record.args or "()"), _parse_complete(record.kwargs or "{}")
    except ValueError as error:
        raise ArgumentsCut(record.uuid) from error
    if not record.name or not isinstance(args, list) or not isinstance(kwargs, dict):
        raise ArgumentsCut(record.uuid)
    return FailedTask(
        task_id=record.uuid, name=record.name, args=args, kwargs=kwargs, reason=str(record.exception or "")
    )


def as_events(failure: FailedTask) -> Iterator[Event]:
    """Yield the events that the worker sent, or would have sent, when this task failed."""
    moment = (failure.failed_at or datetime.now(UTC)).timestamp()
    common = {
        "uuid": failure.task_id,
        "hostname": failure.worker or "unknown",
        "timestamp": moment,
        # Not received now: it must not count as a heartbeat of that worker.
        "local_received": None,
        "clock": 0,
    }
    shown = {"name": failure.name, "args": saferepr(tuple(failure.args)), "kwargs": saferepr(failure.kwargs)}
    yield {**common, **shown, "type": "task-received"}
    yield {**common, "type": "task-failed", "exception": failure.reason, "traceback": failure.traceback}


@contextmanager
def _errors_translated() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise ResultsAway from error


def _read(backend: RedisBackend, task_id: str, value: bytes) -> FailedTask | None:
    try:
        return _failure_of(backend.decode(value))
    except Exception as error:
        # A record of any shape: Redis may be shared, and other versions of Celery write to it.
        log.warning("stored_result_unreadable", task_id=task_id, error=type(error).__name__)
        return None


def _failure_of(meta: dict[str, Any]) -> FailedTask | None:
    # A record from before `result_extended` was set has no name and no arguments.
    if meta["status"] != states.FAILURE or not meta.get("name"):
        return None
    done = meta.get("date_done")
    return FailedTask(
        task_id=meta["task_id"],
        name=meta["name"],
        args=list(meta["args"]),
        kwargs=dict(meta["kwargs"]),
        reason=_error_message(meta["result"]),
        traceback=meta.get("traceback"),
        worker=meta.get("worker"),
        failed_at=datetime.fromisoformat(done) if done else None,
    )


def _error_message(error: dict[str, Any]) -> str:
    """Return the error's message. Celery would create an exception of any class that the record names."""
    message = error.get("exc_message")
    words = ", ".join(map(str, message)) if isinstance(message, list) else str(message or "")
    return words or str(error.get("exc_type"))


def _parse_complete(text: str) -> Any:
    """Parse the output of `saferepr`. Raises `ValueError` if the output may be incomplete."""
    if any(mark in text for mark in _DOUBTFUL):
        raise ValueError("the text may be shortened")
    try:
        # Through JSON, as in every message: a value that JSON changes was not in a message.
        return json.loads(json.dumps(ast.literal_eval(text)))
    except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError("the text is not plain data") from error
