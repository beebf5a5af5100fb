"""News for the shop: send what waits, find dust that is about to expire, drop what is old."""

from bridge.clock import now
from bridge.db import transaction
from bridge.ledger.webhook_events import forget_told, tell_expiring
from bridge.notices.outbox import prune as prune_notices
from bridge.notices.outbox import wanted
from bridge.notices.send import send_waiting
from bridge.programme.versions import current_version
from bridge.queue.enqueue import NOTICES_EXPIRING, NOTICES_PRUNE, NOTICES_SEND, publish
from workers.app import app

# With the last notice's time-out well below the hard time limit.
_SEND_SECONDS = 20.0
_CUSTOMERS_AT_ONCE = 200


@app.task(name=NOTICES_SEND, retryable=True)
def send() -> int:
    """Send what waits; how many were delivered. What is left is for the next sweep, a few seconds away."""
    return send_waiting(seconds=_SEND_SECONDS)


@app.task(name=NOTICES_EXPIRING, retryable=True)
def expiring() -> int:
    """Tell of dust that is about to expire, a few hundred customers in a transaction; the number of customers."""
    done = 0
    while wanted():
        with transaction() as connection:
            programme = current_version(connection).programme
            days = programme.earn.expiry_notice_days
            if days is None:
                break
            told = tell_expiring(
                connection, days=days, now=now(), customers=_CUSTOMERS_AT_ONCE, time_zone=programme.time_zone
            )
        done += told
        if told < _CUSTOMERS_AT_ONCE:
            break
    if done:
        publish(NOTICES_SEND)
    return done


@app.task(name=NOTICES_PRUNE, retryable=True)
def prune() -> int:
    """Drop old notices, and marks of lots that are gone; the number of notices."""
    with transaction() as connection:
        forget_told(connection, now=now())
        return prune_notices(connection, now=now())
