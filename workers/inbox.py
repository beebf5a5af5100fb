"""Events: drain what has gathered; handle one that needs a task of its own."""

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
from bridge.inbox.process_batch import OWN_TASK_GRACE, drain_once, split_off_once
from bridge.inbox.process_one import RetryLater, handle_event, park_event, retry_event
from bridge.queue.enqueue import INBOX_DRAIN, INBOX_HANDLE, REDEMPTIONS_ADVANCE, publish
from bridge.redemptions.cart_codes import CART_CHECK_DELAY
from workers.app import DustTask, app

log = structlog.get_logger(__name__)

# An event that takes its worker's process down with it is tried this often, then parked: poison must not loop. Short
# waits, so that this is settled before the sweep offers the event again (`OWN_TASK_GRACE`).
_LOST_WORKERS = 3
_LOST_SECONDS = 5
# Waiting for Medusa is limited by the attempts in the event's row; Celery shall not end it before.
_THE_ROW_COUNTS = 1_000
# RabbitMQ's delays are whole seconds, and Celery fails a task that is to be retried sooner than in one.
_MIN_SECONDS = 1.0
# Well below the hard time limit; what is left then is another task's.
_DRAIN_SECONDS = 20.0


@app.task(name=INBOX_DRAIN, retryable=True, bind=True, default_retry_delay=_LOST_SECONDS)
def drain(self: DustTask) -> int:
    """Work until nothing is left; the number of events taken.

    Celery counts a retry when the process that drained was lost; then whatever did that must not be in a batch again.
    """
    end, taken = time.monotonic() + _DRAIN_SECONDS, 0
    take = split_off_once if self.request.retries else drain_once
    while True:
        try:
            batch = take()
        except Unavailable as error:
            # Nothing has failed: every event waits in Postgres, and the sweep comes again.
            log.warning("drain_waits", reason=error.message)
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
    """Sooner than the sweep, which finds them too."""
    for redemption_id in redemption_ids:
        publish(REDEMPTIONS_ADVANCE, redemption_id, countdown_seconds=CART_CHECK_DELAY.total_seconds())


class EventTask(DustTask):
    """A task about one event."""

    retryable = True

    def before_retry(self, connection: Connection, event_id: str) -> None:
        """The event must be pending again; due only after the task has come, so that no sweep works on it as well."""
        retry_event(connection, event_id, now=now(), due_in=OWN_TASK_GRACE)


@app.task(name=INBOX_HANDLE, base=EventTask, bind=True, max_retries=_LOST_WORKERS, default_retry_delay=_LOST_SECONDS)
def handle(self: EventTask, event_id: str) -> str:
    """One event. A task that has to wait is retried under its own id; the row counts the attempts and ends them."""
    try:
        handled = handle_event(event_id)
        _check_carts_soon(handled.redemptions)
        return handled.sentence
    except RetryLater as later:
        wait = max(_MIN_SECONDS, later.wait_seconds)
        try:
            raise self.retry(exc=later, countdown=wait, max_retries=_THE_ROW_COUNTS) from later
        except Reject:
            # The broker is away: the row says when it is due, and the sweep offers it then.
            return f"Waits: {later.message}"
    except Unavailable as error:
        # Not failed: Postgres is away, the event waits in it untouched, and the sweep offers it again.
        return f"Waits: {error.message}"


@signals.task_failure.connect(sender=handle)
def _park_with_its_task(exception: BaseException, args: Sequence[str], **_: object) -> None:
    """A task that was ended from outside (time limit, lost worker) would leave its event to the sweep, for ever.

    Redis' going away while Celery notes a retry there ends the task too; with the event nothing is wrong.
    """
    if not isinstance(exception, (DustError, OperationalError, RedisError)):
        park_event(
            args[0], f"Its task was ended ({exception}). Retry it; if that happens again, Dust has a fault there."
        )
