"""Events: drain what has gathered; handle one that needs a task of its own."""

import time
from typing import Any

from celery import Task

from bridge.inbox.drain import drain_once
from bridge.inbox.handle import RetryLater, handle_event
from bridge.wake import INBOX_DRAIN, INBOX_HANDLE, publish
from workers.app import app

# Well below the hard time limit; what is left then is another task's.
_DRAIN_SECONDS = 20.0


@app.task(name=INBOX_DRAIN)
def drain() -> int:
    """Work until nothing is left; the number of events taken."""
    end, taken = time.monotonic() + _DRAIN_SECONDS, 0
    while True:
        batch = drain_once()
        taken += batch.taken
        for event_id in batch.split_off:
            publish(INBOX_HANDLE, event_id)
        if not batch.more:
            return taken
        if time.monotonic() > end:
            publish(INBOX_DRAIN)
            return taken


@app.task(name=INBOX_HANDLE, bind=True, max_retries=None)
def handle(self: "Task[Any, Any]", event_id: str) -> str:
    """One event. A task that has to wait is retried under its own id; the row counts the attempts and ends them."""
    try:
        return handle_event(event_id).sentence
    except RetryLater as later:
        raise self.retry(exc=later, countdown=later.wait_seconds) from later
