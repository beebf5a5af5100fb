"""Periodic tasks: mature and expire points, check the ledger, and clean up."""

import time
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog

from bridge.clock import now
from bridge.db import all_or_each, concerns_its_rows, in_batches, transaction
from bridge.errors import Unavailable
from bridge.ids import CustomerId
from bridge.inbox.erasure import delete_personal_data, erased_customers
from bridge.inbox.retention import strip_old_bodies as strip_bodies
from bridge.ledger.mature_and_expire import post_due_lots_of
from bridge.ledger.merges import merge_new_points, merged_with_new_points
from bridge.ledger.store import customers_with_due_lots
from bridge.ledger.totals import fold
from bridge.medusa.client import get_medusa
from bridge.operations.audit import CHECK_NAMES, audit_medusa
from bridge.operations.audit import audit as audit_ledger
from bridge.operations.future_times import correct_future_times as correct_times
from bridge.queue import enqueue
from bridge.queue.job_runs import AUDIT, BEAT, read_runs, record_run
from bridge.reports.closes import close_days as close_days_over
from bridge.settings import get_settings
from bridge.settlement.claims import claim_orders, claimable_by_proof
from bridge.settlement.escrow import due_escrows, expire_escrows
from bridge.settlement.kept_forecasts import FORECAST_RETENTION
from bridge.settlement.kept_forecasts import delete_old_forecasts as delete_forecasts
from workers.app import app

log = structlog.get_logger(__name__)

_FORECASTS_AT_ONCE = 1000
_CUSTOMERS_AT_ONCE = 200
_BODIES_AT_ONCE = 1000
_ORDERS_AT_ONCE = 500
# Well below the hard time limit; another task continues. So a long sweep occupies no process that events need.
_MAX_SECONDS = 20.0
# Reading a ledger of millions of rows takes minutes. Such a task is acknowledged when it starts: otherwise the broker
# would deliver it again after its timeout. If it is lost, the next hour's run replaces it.
_LONG_SECONDS = 3600


@app.task(name=enqueue.UPKEEP_MATURE_AND_EXPIRE, retryable=True)
def mature_and_expire() -> int:
    """Mature and expire points that are due, up to 200 customers per transaction; return the number of customers.

    A customer whose points cannot be posted delays no other.
    """
    done = 0
    after: CustomerId | None = None
    while True:
        with transaction() as connection:
            due = customers_with_due_lots(connection, now(), _CUSTOMERS_AT_ONCE, after=after)
        failed = all_or_each(lambda connection, ids: post_due_lots_of(connection, ids, now=now()), due)
        _log_failed("due_points_not_posted", "customer_id", failed)
        done += len(due) - len(failed)
        if len(due) < _CUSTOMERS_AT_ONCE:
            return done
        after = due[-1]


def _log_failed(event: str, name: str, failed: Mapping[Any, Exception]) -> None:
    for row_id, error in failed.items():
        log.error(event, **{name: row_id}, exc_info=error)


@app.task(name=enqueue.UPKEEP_ESCROW, retryable=True)
def escrow() -> int:
    """Claim guests' orders that became known after their e-mail was proved, and expire escrows; return how many."""
    with transaction() as connection:
        proved = claimable_by_proof(connection, now=now(), limit=_ORDERS_AT_ONCE)
    done = 0
    for customer_id, orders in proved.items():
        for proof, order_ids in orders.items():
            try:
                with transaction() as connection:
                    done += len(claim_orders(connection, customer_id, order_ids, proof, now=now()).orders)
            except Exception as error:
                if not concerns_its_rows(error):
                    raise
                log.error("guest_orders_not_claimed", customer_id=customer_id, exc_info=error)
    while True:
        with transaction() as connection:
            due = due_escrows(connection, now=now(), limit=_ORDERS_AT_ONCE)
        failed = all_or_each(lambda connection, ids: expire_escrows(connection, ids, now=now()), due)
        _log_failed("escrow_not_expired", "order_id", failed)
        done += len(due) - len(failed)
        if len(due) < _ORDERS_AT_ONCE or len(failed) == len(due):
            return done


@app.task(name=enqueue.UPKEEP_CARRY_OVER, retryable=True)
def carry_over() -> int:
    """Carry over points that came into accounts while they were being merged; return how many accounts."""
    with transaction() as connection:
        merged = merged_with_new_points(connection, limit=_CUSTOMERS_AT_ONCE)
    failed = all_or_each(merge_new_points, merged)
    _log_failed("points_not_carried_over", "customer_id", failed)
    return len(merged) - len(failed)


@app.task(name=enqueue.UPKEEP_HEARTBEAT, retryable=True)
def heartbeat() -> None:
    """Record that beat sends tasks and that a worker runs them."""
    with transaction() as connection:
        record_run(connection, BEAT, {}, now=now())


@app.task(name=enqueue.UPKEEP_CORRECT_FUTURE_TIMES, retryable=True)
def correct_future_times() -> int:
    """Correct times that a clock which was ahead has written; return how many."""
    return correct_times(now=now())


@app.task(name=enqueue.UPKEEP_FOLD_TOTALS, retryable=True)
def fold_totals() -> int:
    """Merge the rows of the ledger's totals into one per kind; return how many rows there were."""
    with transaction() as connection:
        return fold(connection)


@app.task(name=enqueue.UPKEEP_AUDIT, retryable=True, acks_late=False, time_limit=_LONG_SECONDS)
def audit() -> int:
    """Check every invariant and log each breach as an error; return the number of breaches."""
    breaches = audit_ledger()
    if get_settings().medusa_url:
        try:
            breaches += audit_medusa(get_medusa())
        except Unavailable as error:
            log.warning("medusa_not_audited", reason=error.message)
    counts = dict.fromkeys(CHECK_NAMES, 0) | Counter(breach.check for breach in breaches)
    with transaction() as connection:
        before = read_runs(connection).get(AUDIT)
        broken_since = (before.result.get("broken_since") if before else None) or now().isoformat()
        result = {"breaches": counts, "broken_since": broken_since if breaches else None}
        record_run(connection, AUDIT, result, now=now())
    for breach in breaches:
        log.error("audit_breach", check=breach.check, subject=breach.subject, detail=breach.detail)
    return len(breaches)


@app.task(name=enqueue.UPKEEP_CLOSE_DAYS, retryable=True, acks_late=False, time_limit=_LONG_SECONDS)
def close_days() -> list[str]:
    """Store the liability at the end of each past day, in a transaction for each; return the days."""
    closed: list[str] = []
    while True:
        with transaction() as connection:
            days = close_days_over(connection, now=now(), limit=1)
        if not days:
            return closed
        closed += [day.isoformat() for day in days]


@app.task(name=enqueue.UPKEEP_STRIP_OLD_BODIES, retryable=True)
def strip_old_bodies(after: str | None = "") -> int:
    """Reduce the bodies of events processed long ago to their ids; return how many. Another task may continue."""
    stripped, before = 0, now() - timedelta(days=get_settings().inbox_days)
    end = time.monotonic() + _MAX_SECONDS
    while after is not None and time.monotonic() < end:
        with transaction() as connection:
            some, after = strip_bodies(connection, before=before, limit=_BODIES_AT_ONCE, after=after)
        stripped += some
    if after is not None:
        enqueue.publish(enqueue.UPKEEP_STRIP_OLD_BODIES, after)
    return stripped


@app.task(name=enqueue.UPKEEP_DELETE_OLD_FORECASTS, retryable=True)
def delete_old_forecasts() -> int:
    """Delete forecasts of carts that were quoted long ago; return how many."""
    before = now() - FORECAST_RETENTION
    return in_batches(
        lambda connection: delete_forecasts(connection, before=before, limit=_FORECASTS_AT_ONCE),
        size=_FORECASTS_AT_ONCE,
    )


@app.task(name=enqueue.UPKEEP_ERASE_LATE_DATA, retryable=True)
def erase_late_data() -> int:
    """Delete personal data that arrived after its customer was erased; return the number of event bodies."""
    stripped, after = 0, ""
    while True:
        with transaction() as connection:
            erased = erased_customers(connection, limit=_CUSTOMERS_AT_ONCE, after=after)
            stripped += delete_personal_data(connection, erased, now=now())
        if len(erased) < _CUSTOMERS_AT_ONCE:
            return stripped
        after = erased[-1]
