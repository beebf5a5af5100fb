"""Sends messages to the workers. A message only says that there is work: it may be lost, duplicated or late.

The work itself is a row in the database, which the periodic sweep finds without a message. Task names are constants
here, so that `bridge` does not import the workers. In API processes one background thread sends the messages: it
deduplicates those that come together, and an unavailable broker delays only this thread, never a response.
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
UPKEEP_HEARTBEAT = "upkeep.heartbeat"
UPKEEP_CORRECT_FUTURE_TIMES = "upkeep.correct_future_times"
UPKEEP_FOLD_TOTALS = "upkeep.fold_totals"
UPKEEP_ERASE_LATE_DATA = "upkeep.erase_late_data"
UPKEEP_STRIP_OLD_BODIES = "upkeep.strip_old_bodies"
UPKEEP_DELETE_OLD_FORECASTS = "upkeep.delete_old_forecasts"
UPKEEP_ESCROW = "upkeep.escrow"
UPKEEP_CARRY_OVER = "upkeep.carry_over"
UPKEEP_CLOSE_DAYS = "upkeep.close_days"
RECONCILE_ORDERS = "reconcile.orders"
OUTGOING_SEND = "outgoing.send"
OUTGOING_EXPIRING = "outgoing.expiring"
OUTGOING_PRUNE = "outgoing.prune"
SIMULATIONS_RUN = "simulations.run"
PROGRAMME_PUBLISH_DRAFTS = "programme.publish_drafts"

# Messages are collected this long and deduplicated, so that a thousand events at once need only a few messages.
_GATHER_SECONDS = 0.01
# RabbitMQ confirms within milliseconds. Without free memory or disk it accepts messages and never confirms.
_CONFIRM_SECONDS = 2.0
# Pause after a failed send. The sweep covers the messages that were dropped.
_PAUSE_SECONDS = 2.0


_broker_away = False


@PerProcess
def _publisher() -> Celery:
    app = Celery("dust")
    app.config_from_object("celeryconfig")
    return app


def publish(task: str, *args: Any, countdown_seconds: float | None = None, queue: str | None = None) -> bool:
    """Send one message now, by default to the task's own queue.

    Returns False if the broker is unavailable. That is harmless, because the sweep finds the row.
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
        # Any error of the broker's client: a message that cannot be sent must not fail work that is committed.
        _note(away=True, task=task, error=type(error).__name__)
        return False
    _note(away=False, task=task)
    return True


def _note(*, away: bool, **details: str) -> None:
    """Log one line when the broker takes no messages any more, and one when it does again."""
    global _broker_away
    if away and not _broker_away:
        log.warning("message_not_sent", **details)
    elif _broker_away and not away:
        log.info("messages_sent_again", **details)
    _broker_away = away


def queues_with_workers(*, timeout_seconds: float) -> dict[str, int]:
    """Number of workers per queue, counting those that answer within `timeout_seconds`."""
    app = _publisher()
    answers = app.control.inspect(timeout=timeout_seconds).active_queues() or {}
    served = [queue["name"] for queues in answers.values() for queue in queues]
    return {queue.name: served.count(queue.name) for queue in app.conf.task_queues}


class MessageSender:
    """Collects messages and sends them from one background thread."""

    def __init__(self) -> None:
        self._messages: dict[tuple[str, tuple[Any, ...]], None] = {}
        self._lock = threading.Lock()
        self._has_messages = threading.Event()
        self._thread: threading.Thread | None = None

    def enqueue(self, task: str, *args: Any) -> None:
        """Send a message soon, unless the same one is already waiting to be sent. Never blocks or raises."""
        with self._lock:
            self._messages[(task, args)] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="dust-enqueue", daemon=True)
                self._thread.start()
        self._has_messages.set()

    def _run(self) -> None:
        while True:
            self._has_messages.wait()
            time.sleep(_GATHER_SECONDS)
            self._has_messages.clear()
            with self._lock:
                messages, self._messages = self._messages, {}
            if not all(publish(task, *args) for task, args in messages):
                time.sleep(_PAUSE_SECONDS)


_sender = MessageSender()


def enqueue(task: str, *args: Any) -> None:
    """Send a message soon. Call it after the commit. Never blocks or raises."""
    _sender.enqueue(task, *args)
