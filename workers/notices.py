"""Tasks for outgoing webhooks: send waiting ones, announce points that are about to expire, delete old ones."""

from bridge.clock import now
from bridge.db import transaction
from bridge.ledger.webhook_events import announce_expiring, delete_expired_marks
from bridge.notices.outbox import prune as prune_notices
from bridge.notices.outbox import wanted
from bridge.notices.send import send_waiting
from bridge.programme.versions import current_version
from bridge.queue.enqueue import NOTICES_EXPIRING, NOTICES_PRUNE, NOTICES_SEND, publish
from workers.app import app

# Together with the last webhook's timeout well below the hard time limit.
_SEND_SECONDS = 20.0
_CUSTOMERS_AT_ONCE = 200


@app.task(name=NOTICES_SEND, retryable=True)
def send() -> int:
    """Send waiting webhooks; return how many were delivered. The next periodic run, seconds later, sends the others."""
    return send_waiting(seconds=_SEND_SECONDS)


@app.task(name=NOTICES_EXPIRING, retryable=True)
def expiring() -> int:
    """Announce points that are about to expire, up to 200 customers per transaction; return the number of customers."""
    done = 0
    while wanted():
        with transaction() as connection:
            programme = current_version(connection).programme
            days = programme.earn.expiry_notice_days
            if days is None:
                break
            announced = announce_expiring(
                connection, days=days, now=now(), customers=_CUSTOMERS_AT_ONCE, time_zone=programme.time_zone
            )
        done += announced
        if announced < _CUSTOMERS_AT_ONCE:
            break
    if done:
        publish(NOTICES_SEND)
    return done


@app.task(name=NOTICES_PRUNE, retryable=True)
def prune() -> int:
    """Delete old webhooks, and marks of expired lots; return the number of webhooks."""
    with transaction() as connection:
        delete_expired_marks(connection, now=now())
        return prune_notices(connection, now=now())
