"""What the clock brings: dust matures and expires, and the books are checked."""

from collections import Counter
from datetime import timedelta

import structlog

from bridge.clock import now
from bridge.db import transaction
from bridge.errors import Unavailable
from bridge.inbox.erasure import erased_customers
from bridge.inbox.erasure import forget as forget_again
from bridge.inbox.retention import strip_old_bodies as strip_bodies
from bridge.ledger.merges import carry_over_what_came_in
from bridge.ledger.scheduled import book_due_lots
from bridge.ledger.totals import fold
from bridge.medusa.client import get_medusa
from bridge.operations.audit import CHECK_NAMES, audit_medusa
from bridge.operations.audit import audit as audit_books
from bridge.queue.enqueue import (
    UPKEEP_AUDIT,
    UPKEEP_CARRY_OVER,
    UPKEEP_CLOSE_DAYS,
    UPKEEP_ESCROW,
    UPKEEP_EVERY_MINUTE,
    UPKEEP_FORGET,
    UPKEEP_MATURE_AND_EXPIRE,
    UPKEEP_STRIP_OLD_BODIES,
)
from bridge.queue.heartbeats import AUDIT, EVERY_MINUTE, note_run
from bridge.reports.closes import close_days as close_days_over
from bridge.settings import get_settings
from bridge.settlement.escrow import claim_orders, expire_escrows, proved_and_waiting
from workers.app import app

log = structlog.get_logger(__name__)

_CUSTOMERS_AT_ONCE = 200
_BODIES_AT_ONCE = 1000
_ORDERS_AT_ONCE = 500
# Reading a book of millions of rows takes minutes. Such a task is acknowledged as it starts: one that outlives the
# broker's patience would be handed out again, and one that is lost is only one of the next hour's.
_LONG_SECONDS = 3600


@app.task(name=UPKEEP_MATURE_AND_EXPIRE, retryable=True)
def mature_and_expire() -> int:
    """Post what has become due, a few hundred customers in a transaction; the number of customers."""
    done = 0
    while True:
        with transaction() as connection:
            booked = book_due_lots(connection, now=now(), customers=_CUSTOMERS_AT_ONCE)
        done += booked
        if booked < _CUSTOMERS_AT_ONCE:
            return done


@app.task(name=UPKEEP_ESCROW, retryable=True)
def escrow() -> int:
    """Claim guests' orders that became known after their e-mail was proved, and end waits that are over; how many."""
    done = 0
    with transaction() as connection:
        proved = proved_and_waiting(connection, now=now(), limit=_ORDERS_AT_ONCE)
    for customer_id, orders in proved.items():
        for proof, order_ids in orders.items():
            with transaction() as connection:
                done += len(claim_orders(connection, customer_id, order_ids, proof, now=now()).orders)
    while True:
        with transaction() as connection:
            over = expire_escrows(connection, now=now(), limit=_ORDERS_AT_ONCE)
        done += over
        if over < _ORDERS_AT_ONCE:
            return done


@app.task(name=UPKEEP_CARRY_OVER, retryable=True)
def carry_over() -> int:
    """Bring what came into merged accounts to their survivors, where a merge came in between; how many accounts."""
    with transaction() as connection:
        return carry_over_what_came_in(connection, limit=_CUSTOMERS_AT_ONCE)


@app.task(name=UPKEEP_EVERY_MINUTE, retryable=True)
def every_minute() -> int:
    """Keep the notes of the ledger's totals few, and show that the clock goes; how many notes there were."""
    with transaction() as connection:
        folded = fold(connection)
        note_run(connection, EVERY_MINUTE, {"folded": folded}, now=now())
    return folded


@app.task(name=UPKEEP_AUDIT, retryable=True, acks_late=False, time_limit=_LONG_SECONDS)
def audit() -> int:
    """Check every invariant; a breach is logged as an error, one line each. The number of breaches."""
    breaches = audit_books()
    if get_settings().medusa_url:
        try:
            breaches += audit_medusa(get_medusa())
        except Unavailable as error:
            log.warning("medusa_not_audited", reason=error.message)
    found = dict.fromkeys(CHECK_NAMES, 0) | Counter(breach.check for breach in breaches)
    with transaction() as connection:
        note_run(connection, AUDIT, {"breaches": found}, now=now())
    for breach in breaches:
        log.error("audit_breach", check=breach.check, subject=breach.subject, detail=breach.detail)
    return len(breaches)


@app.task(name=UPKEEP_CLOSE_DAYS, retryable=True, acks_late=False, time_limit=_LONG_SECONDS)
def close_days() -> list[str]:
    """Keep what was owed at the end of each day that is over; the days."""
    with transaction() as connection:
        return [day.isoformat() for day in close_days_over(connection, now=now())]


@app.task(name=UPKEEP_STRIP_OLD_BODIES, retryable=True, acks_late=False, time_limit=_LONG_SECONDS)
def strip_old_bodies() -> int:
    """Reduce the bodies of events that have long been done with to their ids; how many."""
    stripped, before = 0, now() - timedelta(days=get_settings().inbox_days)
    after: str | None = ""
    while after is not None:
        with transaction() as connection:
            some, after = strip_bodies(connection, before=before, limit=_BODIES_AT_ONCE, after=after)
        stripped += some
    return stripped


@app.task(name=UPKEEP_FORGET, retryable=True)
def forget() -> int:
    """Drop what came in late about customers who were erased; the number of event bodies."""
    stripped, after = 0, ""
    while True:
        with transaction() as connection:
            erased = erased_customers(connection, limit=_CUSTOMERS_AT_ONCE, after=after)
            stripped += forget_again(connection, erased, now=now())
        if len(erased) < _CUSTOMERS_AT_ONCE:
            return stripped
        after = erased[-1]
