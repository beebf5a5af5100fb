"""The Celery application of the workers. Its settings, with their reasons, are in `celeryconfig.py`."""

import faulthandler
import signal
from collections.abc import Callable
from datetime import timedelta
from types import FrameType
from typing import Any, ClassVar

import structlog
from celery import Celery, Task, bootsteps, signals
from sqlalchemy import Connection

from bridge.clock import real_now, reread_clock
from bridge.db import transaction
from bridge.errors import Unavailable
from bridge.gc_tuning import tune_gc
from bridge.observability.logs import set_up_logs
from bridge.observability.metrics import start_saving, stop_saving
from bridge.observability.tracing import set_up_tracing, stop_tracing
from bridge.queue.job_runs import MIN_GAP_HEADER, WAITS_AT_FIRST_HEADER, end_run, start_run
from bridge.settings import get_settings

log = structlog.get_logger(__name__)


class DustTask(Task):  # type: ignore[misc]
    """The base class of all tasks."""

    # Whether an operator may retry a failed task. All of our tasks may run twice (`task_acks_late`), and set this to
    # true; Celery's built-in tasks have this base class as well.
    retryable: ClassVar[bool] = False

    def before_operator_retry(self, connection: Connection, *args: Any, **kwargs: Any) -> None:
        """Prepare the retry of a failed task with these arguments.

        Called once, in the transaction that records the retry; the task is sent after its commit.
        """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task. A periodic job from beat is skipped if the database says that it is not due.

        While Postgres or Medusa is unavailable, a periodic job does not fail, because beat sends it again. A task that
        an operator or another program sent fails, so that they see that it did nothing.
        """
        min_gap = self.request.get(MIN_GAP_HEADER)
        if min_gap is None:
            return self._run(*args, **kwargs)
        try:
            return self._run_if_due(timedelta(seconds=min_gap), *args, **kwargs)
        except Unavailable as error:
            log.warning("task_rescheduled", code=error.code, reason=error.message)
            return f"Rescheduled: {error.message}"

    def _run_if_due(self, min_gap: timedelta, *args: Any, **kwargs: Any) -> Any:
        if not self._start_run(min_gap):
            return "skipped: not due"
        try:
            result = self._run(*args, **kwargs)
        except Exception:
            self._record_end(failed=True)
            raise
        self._record_end()
        return result

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except MemoryError as error:
            # Celery's main process crashes on a MemoryError from a child, again and again.
            raise RuntimeError("the task ran out of memory") from error

    def _record_end(self, *, failed: bool = False) -> None:
        with transaction() as connection:
            end_run(connection, self.name, self.request.id, failed=failed)

    def _start_run(self, min_gap: timedelta) -> bool:
        time_limit = timedelta(seconds=self.time_limit or self.app.conf.task_time_limit)
        with transaction() as connection:
            return start_run(
                connection,
                self.name,
                self.request.id,
                min_gap=min_gap,
                time_limit=time_limit,
                waits_at_first=bool(self.request.get(WAITS_AT_FIRST_HEADER)),
                now=real_now(),
            )


app = Celery("dust", task_cls=DustTask)
app.config_from_object("celeryconfig")
app.conf.imports = (
    "workers.inbox",
    "workers.redemptions",
    "workers.products",
    "workers.upkeep",
    "workers.reconcile",
    "workers.outgoing",
    "workers.simulations",
    "workers.programme",
)


# Longer than `task_time_limit`, because a worker that shuts down lets its tasks finish. Tasks with a
# `time_limit` of their own, such as the audit, may take longer.
ENDS_WITHIN_SECONDS = 90.0
# By then Celery has replaced `sys.stderr`.
_STANDARD_ERROR = 2


def _end_in_time() -> None:
    """End a worker that is shutting down after a time limit; its supervisor starts another.

    Celery waits for its children without a limit. A child that reports to a parent that no longer listens waits without
    end, and so does the parent: seen after Redis had died while a worker started. The process is ended from outside of
    Python, so that no lock can prevent it, and prints where each thread waited.
    """
    faulthandler.dump_traceback_later(ENDS_WITHIN_SECONDS, exit=True, file=_STANDARD_ERROR)


class EndsInTime(bootsteps.StartStopStep):  # type: ignore[misc]
    """Boot step: the time limit runs from the signal on, or from the end of a worker that ends by itself."""

    def start(self, _worker: object) -> None:
        # Celery 5.7 waits for the children in its own handlers (cold shutdown), before anything else is called.
        for number in (signal.SIGTERM, signal.SIGQUIT):
            signal.signal(number, _after_end_in_time(signal.getsignal(number)))

    def close(self, _worker: object) -> None:
        _end_in_time()


def _after_end_in_time(handler: Any) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        _end_in_time()
        handler(number, frame)

    return handle


app.steps["worker"].add(EndsInTime)


@signals.setup_logging.connect
def _on_setup_logging(**_: object) -> None:
    set_up_logs(get_settings())


@signals.worker_process_init.connect
def _on_worker_process_init(**_: object) -> None:
    tune_gc()


@signals.task_prerun.connect
def _on_task_prerun(task_id: str, task: Any, **_: object) -> None:
    """Add the task's id and name to every log line while it runs."""
    structlog.contextvars.clear_contextvars()
    # If the test clock was moved before this task was sent, the new time applies.
    reread_clock()
    structlog.contextvars.bind_contextvars(task_id=task_id, task=task.name)
    # In the process that runs tasks, in any pool: threads from before a fork do not exist after it.
    set_up_tracing(get_settings(), "dust-worker")
    start_saving()


@signals.task_postrun.connect
def _on_task_postrun(**_: object) -> None:
    structlog.contextvars.clear_contextvars()


@signals.worker_process_shutdown.connect
def _on_worker_process_shutdown(**_: object) -> None:
    stop_saving()
    stop_tracing()
