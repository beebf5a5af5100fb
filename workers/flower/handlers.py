"""The endpoints that Dust adds to Flower.

POST /api/task/retry/<task id>            send a failed task again
GET  /api/task/retries?task_id=…&…        whether these tasks can be retried, and their earlier retries
GET  /api/task/failed                     the failed tasks that can be retried and were not yet, by name
"""

import socket
from base64 import b64decode
from collections import defaultdict
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from celery import Celery, states
from celery.events.state import Task as Record
from celery.utils.saferepr import saferepr
from flower.api import BaseApiHandler
from flower.utils.tasks import get_task_by_id
from tornado.ioloop import IOLoop
from tornado.web import HTTPError, RequestHandler

from bridge.db import transaction
from bridge.errors import DustError
from bridge.http.problems import status_of
from bridge.queue.operator_retries import TaskRetry, sent_retries
from workers.flower.failures import FailedTask, stored_failures
from workers.flower.retries import is_retryable, retries_by_task, retry_task

P = ParamSpec("P")
T = TypeVar("T")

# Without a login there is no name: the request came from this machine.
LOCAL_OPERATOR = "local user"
# The maximum on one page of Flower's list.
_TASKS_AT_ONCE = 100


class DustHandler(BaseApiHandler):  # type: ignore[misc]
    """Base handler, behind Flower's own login.

    Blocking work runs in Flower's threads; Flower's state is used only in its event loop.
    """

    def prepare(self) -> None:
        """Keep our API open without a login, unlike Flower's: it serves loopback only, and requires the XSRF token."""
        if not self.application.is_open:
            super().prepare()

    def check_xsrf_cookie(self) -> None:
        """Require the XSRF token in all cases. With basic auth or no login, Flower itself checks only the origin."""
        # Checked first, so that a request with neither gets the error about the login.
        self.require_login()
        super().check_xsrf_cookie()
        RequestHandler.check_xsrf_cookie(self)

    @property
    def operator(self) -> str:
        """The name of the logged-in user. With basic auth Flower itself only stores that the login was correct."""
        if self.application.is_open:
            return LOCAL_OPERATOR
        if isinstance(self.current_user, str):
            return self.current_user
        _, _, credentials = self.request.headers["Authorization"].partition(" ")
        return b64decode(credentials).decode().partition(":")[0]

    def require_login(self) -> None:
        if not self.current_user:
            raise HTTPError(401)

    def record(self, task_id: str) -> Record | None:
        """Return Flower's record of a task."""
        return get_task_by_id(self.application.events, task_id)

    async def in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run blocking work in a thread. A `DustError` becomes an HTTP error with its message."""
        try:
            return await IOLoop.current().run_in_executor(self.application.executor, lambda: work(*args, **kwargs))
        except DustError as error:
            raise HTTPError(status_of(error), error.message) from error


class RetryHandler(DustHandler):
    """Send a failed task again."""

    async def post(self, task_id: str) -> None:
        self.require_login()
        if self.application.options.read_only:
            raise HTTPError(403, "This Flower is read-only.")
        retry, sent = await self.in_thread(retry_task, self.capp, task_id, self.record(task_id), operator=self.operator)
        if sent:
            # Recorded at once, so that its link works before a worker has taken the task.
            self.application.events.state.event(_sent_event(retry, sent))
        words = "Retried as" if sent else f"Retried before, by {retry.operator}, as"
        self.write({**_as_json(retry), "message": f"{words} {retry.new_task_id}", "already": sent is None})


class RetriesHandler(DustHandler):
    """Whether these tasks can be retried, and their earlier retries."""

    async def get(self) -> None:
        self.require_login()
        task_ids = self.get_arguments("task_id")
        if len(task_ids) > _TASKS_AT_ONCE:
            raise HTTPError(400, f"At most {_TASKS_AT_ONCE} tasks at once.")
        failures, retries = await self.in_thread(_look_up, self.capp, task_ids)
        self.write({"tasks": {task_id: self._status(task_id, failures, retries) for task_id in task_ids}})

    def _status(self, task_id: str, failures: dict[str, FailedTask], retries: list[TaskRetry]) -> dict[str, Any]:
        failure, record = failures.get(task_id), self.record(task_id)
        failed = failure is not None or (record is not None and record.state == states.FAILURE)
        retried = next((retry for retry in retries if retry.task_id == task_id), None)
        retry_of = next((retry for retry in retries if retry.new_task_id == task_id), None)
        name = failure.name if failure else record and record.name
        may = failed and retried is None and not self.application.options.read_only and is_retryable(self.capp, name)
        return {
            "retryable": may,
            # Without a result backend, Flower at least has the error's Python representation.
            "reason": failure.reason if failure else record.exception if record and failed else None,
            "retried": {**_as_json(retried), "state": self._state(retried.new_task_id)} if retried else None,
            "retry-of": _as_json(retry_of) if retry_of else None,
        }

    def _state(self, task_id: str) -> str:
        record = self.record(task_id)
        return str(record.state if record else states.PENDING)


class FailedHandler(DustHandler):
    """The failed tasks that can be retried and were not yet, by name."""

    async def get(self) -> None:
        self.require_login()
        tasks = self.application.events.state.tasks.data
        failed = {
            task_id: record.name
            for task_id, record in tasks.items()
            if record.state == states.FAILURE and is_retryable(self.capp, record.name)
        }
        retried = await self.in_thread(retries_by_task, failed.keys())
        kinds: defaultdict[str, list[str]] = defaultdict(list)
        for task_id, name in failed.items():
            if task_id not in retried:
                kinds[name].append(task_id)
        self.write({"kinds": kinds})


def _look_up(app: Celery, task_ids: list[str]) -> tuple[dict[str, FailedTask], list[TaskRetry]]:
    with transaction() as connection:
        return stored_failures(app, task_ids), sent_retries(connection, task_ids)


def _as_json(retry: TaskRetry) -> dict[str, Any]:
    """Return a retry as JSON with Flower's key names."""
    asked = retry.asked_at.isoformat(timespec="seconds")
    return {"task-id": retry.new_task_id, "retry-of": retry.task_id, "at": asked, "by": retry.operator}


def _sent_event(retry: TaskRetry, sent: FailedTask) -> dict[str, Any]:
    moment = retry.asked_at.timestamp()
    return {
        "type": "task-sent",
        "uuid": retry.new_task_id,
        "name": sent.name,
        "args": saferepr(tuple(sent.args)),
        "kwargs": saferepr(sent.kwargs),
        "hostname": socket.gethostname(),
        "timestamp": moment,
        "local_received": moment,
        "clock": 0,
    }
