"""Tasks for inbox events: process batches of pending events, or one event in its own task."""

import time
from collections.abc import Sequence

import structlog
from celery import signals
from celery.exceptions import Reject
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from sqlalchemy import Connection

from bridge.clock import now
from bridge.errors import DustError, Unavailable
from bridge.inbox.process_batch import OWN_TASK_GRACE, process_batch, split_off_batch
from bridge.inbox.process_one import RetryLater, fail_event, process_event
from bridge.inbox.retry import retry_event
from bridge.queue.enqueue import INBOX_DRAIN, INBOX_HANDLE, REDEMPTIONS_ADVANCE, publish
from bridge.redemptions.cart_codes import CART_CHECK_DELAY
from workers.app import DustTask, app

log = structlog.get_logger(__name__)

# An event that crashes its worker's process is tried this often, then marked as failed, so that it cannot loop. The
# waits are short, so that this ends before the periodic job enqueues the event again (`OWN_TASK_GRACE`).
_MAX_CRASHES = 3
_CRASH_RETRY_SECONDS = 5
# The attempts in the event's row limit the waiting for Medusa. Celery must not end it earlier.
_NO_CELERY_LIMIT = 1_000
# RabbitMQ's delays are whole seconds, and Celery fails a task that is to be retried in less than one.
_MIN_SECONDS = 1.0
# Well below the hard time limit; another task continues.
_MAX_BATCH_SECONDS = 20.0


@app.task(name=INBOX_DRAIN, retryable=True, bind=True, default_retry_delay=_CRASH_RETRY_SECONDS)
def drain(self: DustTask) -> int:
    """Process batches until no event is left; return the number of events taken.

    Celery counts a retry if the worker process died. Then each event gets its own task, so that the one that crashed
    the process cannot crash a batch again.
    """
    end, taken = time.monotonic() + _MAX_BATCH_SECONDS, 0
    take = split_off_batch if self.request.retries else process_batch
    while True:
        try:
            batch = take()
        except Unavailable as error:
            # Nothing has failed: every event is in Postgres, and the periodic job enqueues this again.
            log.warning("batch_rescheduled", reason=error.message)
            return taken
        taken += batch.taken
        for event_id in batch.split_off:
            publish(INBOX_HANDLE, event_id)
        _check_carts_soon(batch.redemptions)
        if not batch.more:
            return taken
        if time.monotonic() > end:
            publish(INBOX_DRAIN)
            return taken


def _check_carts_soon(redemption_ids: Sequence[str]) -> None:
    """Enqueue cart checks now. The periodic job would find them too, but later."""
    for redemption_id in redemption_ids:
        publish(REDEMPTIONS_ADVANCE, redemption_id, countdown_seconds=CART_CHECK_DELAY.total_seconds())


class EventTask(DustTask):
    """A task about one event."""

    retryable = True

    def before_operator_retry(self, connection: Connection, event_id: str) -> None:
        """Set the event to pending, due `OWN_TASK_GRACE` later.

        So no periodic job processes it before the task.
        """
        retry_event(connection, event_id, now=now(), due_in=OWN_TASK_GRACE)


@app.task(
    name=INBOX_HANDLE, base=EventTask, bind=True, max_retries=_MAX_CRASHES, default_retry_delay=_CRASH_RETRY_SECONDS
)
def handle(self: EventTask, event_id: str) -> str:
    """Process one event. A task that must wait is retried under its own id; the row counts and limits the attempts."""
    try:
        handled = process_event(event_id)
        _check_carts_soon(handled.redemptions)
        return handled.sentence
    except RetryLater as later:
        wait = max(_MIN_SECONDS, later.wait_seconds)
        try:
            raise self.retry(exc=later, countdown=wait, max_retries=_NO_CELERY_LIMIT) from later
        except Reject:
            # The broker is unavailable: the row has the due time, and the periodic job enqueues it then.
            return f"Rescheduled: {later.message}"
    except Unavailable as error:
        # Not failed: Postgres is unavailable, the event is unchanged, and the periodic job enqueues it again.
        return f"Rescheduled: {error.message}"


@signals.task_failure.connect(sender=handle)
def _fail_event_of_killed_task(exception: BaseException, args: Sequence[str] | None, **_: object) -> None:
    """Mark the event of a task as failed if the task was ended from outside (time limit, lost worker).

    Otherwise the periodic job would enqueue it again and again. An unreachable Redis while Celery stores a retry also
    ends the task; then the event itself has no problem.
    """
    if args and not isinstance(exception, (DustError, OperationalError, RedisError)):
        fail_event(args[0], f"Its task was ended ({exception}). Retry it; if that happens again, Dust has a bug there.")
