"""Send messages to the workers. A message only says that there is work: the row in the database counts, and the message
may be lost, doubled or late.

Task names are constants here so that the bridge never imports the workers. In the web process messages go through one
background thread: many events that arrive together become one message, and a broker that is away can delay only that
thread, never an answer.
"""

import threading
import time
from typing import Any

import structlog
from celery import Celery

from bridge.per_process import PerProcess

log = structlog.get_logger(__name__)

INBOX_DRAIN = "inbox.drain"
INBOX_HANDLE = "inbox.handle"
REDEMPTIONS_ADVANCE = "redemptions.advance"
REDEMPTIONS_SWEEP = "redemptions.sweep"
PRODUCTS_MIRROR = "products.mirror"
UPKEEP_MATURE_AND_EXPIRE = "upkeep.mature_and_expire"
UPKEEP_AUDIT = "upkeep.audit"
UPKEEP_EVERY_MINUTE = "upkeep.every_minute"
UPKEEP_FORGET = "upkeep.forget"
UPKEEP_STRIP_OLD_BODIES = "upkeep.strip_old_bodies"
UPKEEP_ESCROW = "upkeep.escrow"
UPKEEP_CARRY_OVER = "upkeep.carry_over"
UPKEEP_CLOSE_DAYS = "upkeep.close_days"
RECONCILE_ORDERS = "reconcile.orders"
NOTICES_SEND = "notices.send"
NOTICES_EXPIRING = "notices.expiring"
NOTICES_PRUNE = "notices.prune"

# Wait this long for company before a message goes out; a burst of a thousand events needs a handful of messages.
_GATHER_SECONDS = 0.01
# RabbitMQ confirms within milliseconds; one that has run out of memory or disk takes messages and says nothing.
_CONFIRM_SECONDS = 2.0
# A broker that was away is asked again after this long; the sweep covers what was not said meanwhile.
_REST_SECONDS = 2.0


@PerProcess
def _publisher() -> Celery:
    app = Celery("dust")
    app.config_from_object("celeryconfig")
    return app


def publish(task: str, *args: Any, countdown_seconds: float | None = None, queue: str | None = None) -> bool:
    """Send one message now, to the task's own queue if no other is named.

    False when the broker is away, which is fine: the sweep will find the row.
    """
    try:
        _publisher().send_task(
            task,
            args=args,
            countdown=countdown_seconds,
            queue=queue,
            ignore_result=True,
            confirm_timeout=_CONFIRM_SECONDS,
        )
    except Exception as error:
        # Whatever the broker's client raises: a message that cannot be sent must never undo what is committed.
        log.warning("hint_not_sent", task=task, error=type(error).__name__)
        return False
    return True


def queues_with_workers(*, timeout_seconds: float) -> dict[str, int]:
    """Ask all workers; how many of those that answered in time work on each of our queues."""
    app = _publisher()
    answers = app.control.inspect(timeout=timeout_seconds).active_queues() or {}
    served = [queue["name"] for queues in answers.values() for queue in queues]
    return {queue.name: served.count(queue.name) for queue in app.conf.task_queues}


class Waker:
    """Collects messages and sends them from one thread."""

    def __init__(self) -> None:
        self._wanted: dict[tuple[str, tuple[Any, ...]], None] = {}
        self._lock = threading.Lock()
        self._something = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self, task: str, *args: Any) -> None:
        """Send a message soon, and the same one only once if it has not gone out yet. Never blocks or raises."""
        with self._lock:
            self._wanted[(task, args)] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="dust-waker", daemon=True)
                self._thread.start()
        self._something.set()

    def _run(self) -> None:
        while True:
            self._something.wait()
            time.sleep(_GATHER_SECONDS)
            self._something.clear()
            with self._lock:
                wanted, self._wanted = self._wanted, {}
            if not all(publish(task, *args) for task, args in wanted):
                time.sleep(_REST_SECONDS)


_waker = Waker()


def wake(task: str, *args: Any) -> None:
    """Send a message soon, after the commit that it is about. Never blocks, never raises."""
    _waker.wake(task, *args)
