"""Process the inbox and poll Medusa as the workers do."""

from sqlalchemy import select

from bridge.db import transaction
from bridge.inbox.process_batch import process_batch
from bridge.inbox.process_one import EventFailed, RetryLater, process_event
from bridge.inbox.reconcile import ReconcileResult, reconcile
from bridge.inbox.tables import webhook_event
from bridge.medusa.client import get_medusa
from tests.support.orders import PLACED


def drain() -> None:
    """Process all waiting events. Those that must wait or fail stay in the inbox."""
    while True:
        drained = process_batch()
        for event_id in drained.split_off:
            try:
                process_event(event_id)
            except (RetryLater, EventFailed):
                continue
        if not drained.more:
            return


def poll() -> ReconcileResult:
    """Reconcile with Medusa, and process what it found."""
    report = reconcile(get_medusa())
    drain()
    return report


def first_poll() -> None:
    """Reconcile from before the first order."""
    reconcile(get_medusa(), since=PLACED)
    drain()


def state_of(event_id: str) -> str:
    with transaction() as connection:
        return str(connection.scalar(select(webhook_event.c.state).where(webhook_event.c.id == event_id)))
