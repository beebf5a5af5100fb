"""Tasks for outgoing webhooks: send waiting ones, announce points that are about to expire, delete old ones."""

from sqlalchemy import Connection

from bridge.clock import now
from bridge.db import in_batches, transaction
from bridge.ledger.outgoing_webhooks import announce_expiring, delete_expired_marks
from bridge.outgoing.outbox import prune as prune_webhooks
from bridge.outgoing.outbox import webhooks_configured
from bridge.outgoing.send import send_waiting
from bridge.programme.versions import current_version
from bridge.queue.enqueue import OUTGOING_EXPIRING, OUTGOING_PRUNE, OUTGOING_SEND, publish
from workers.app import app

# Together with the last webhook's timeout well below the hard time limit.
_SEND_SECONDS = 20.0
_CUSTOMERS_AT_ONCE = 200


@app.task(name=OUTGOING_SEND, retryable=True)
def send() -> int:
    """Send waiting webhooks; return how many were delivered. The next periodic run, seconds later, sends the others."""
    return send_waiting(seconds=_SEND_SECONDS)


@app.task(name=OUTGOING_EXPIRING, retryable=True)
def expiring() -> int:
    """Announce points that are about to expire, up to 200 customers per transaction; return the number of customers."""
    done = in_batches(_announce, size=_CUSTOMERS_AT_ONCE) if webhooks_configured() else 0
    if done:
        publish(OUTGOING_SEND)
    return done


def _announce(connection: Connection) -> int:
    programme = current_version(connection).programme
    days = programme.earn.expiry_notice_days
    if days is None:
        return 0
    return announce_expiring(
        connection, days=days, now=now(), customers=_CUSTOMERS_AT_ONCE, time_zone=programme.time_zone
    )


@app.task(name=OUTGOING_PRUNE, retryable=True)
def prune() -> int:
    """Delete old webhooks, and marks of expired lots; return the number of webhooks."""
    with transaction() as connection:
        delete_expired_marks(connection, now=now())
        return prune_webhooks(connection, now=now())
