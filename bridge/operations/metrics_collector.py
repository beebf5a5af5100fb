"""Metrics collector: reads metrics from tables at each scrape (waiting work, ledger sums, last runs of jobs).

A scrape must be cheap, however large the shop is. The queries read small partial indexes of open rows (waiting, failed,
in debt) up to `_MAX_COUNTED` rows; ledger metrics come from running totals. Each statement can take two seconds at
most. The results are cached for five seconds.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, Row, text

from bridge.clock import now
from bridge.db import transaction
from bridge.errors import Unavailable
from bridge.inbox.cursor import last_poll
from bridge.inbox.events import metric_label
from bridge.inbox.queries import oldest_waiting
from bridge.ledger.totals import read_debt, read_kind_totals
from bridge.observability.metrics import read_counts, save_counts
from bridge.outgoing.outbox import webhooks_configured
from bridge.outgoing.queries import count_webhooks, oldest_waiting_webhook
from bridge.outgoing.tables import OutgoingWebhookState
from bridge.queue.job_runs import AUDIT, BEAT, read_runs
from bridge.redemptions.repository import oldest_pending
from bridge.redemptions.tables import OPEN_STATES
from bridge.settlement.escrow import read_escrow_totals

_SHOWN_AGAIN_SECONDS = 5.0
_TIMEOUT_MS = 2_000
# Counting stops here, because charts and alerts need no higher number.
_MAX_COUNTED = 100_000


class DatabaseMetrics(Collector):
    """Prometheus collector: `dust_database_up`, and all other metrics if it is 1."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown: list[Metric] = []
        self._until = 0.0

    def describe(self) -> Iterable[Metric]:
        """Return nothing. Otherwise a registry would run the queries when it registers the collector."""
        return ()

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            if time.monotonic() >= self._until:
                self._shown = _read()
                self._until = time.monotonic() + _SHOWN_AGAIN_SECONDS
            shown = self._shown
        yield from shown


def _read() -> list[Metric]:
    up = GaugeMetricFamily("dust_database_up", "Whether Postgres answered this scrape in time; without it no figures")
    try:
        save_counts()
        with transaction() as connection:
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {_TIMEOUT_MS}")
            figures = [*_inbox(connection), *_redemptions(connection), *_ledger(connection), *_runs(connection)]
            figures += [*_outgoing_webhooks(connection), *read_counts(connection)]
    except Unavailable:
        up.add_metric([], 0)
        return [up]
    up.add_metric([], 1)
    return [up, *figures]


def _inbox(connection: Connection) -> Iterator[Metric]:
    events = GaugeMetricFamily(
        "dust_events", f"Events waiting or failed, up to {_MAX_COUNTED} of each", labels=["state", "type"]
    )
    reasons = GaugeMetricFamily("dust_events_failed_now", "Failed events by the code of their reason", labels=["code"])
    # The ORDER BY makes Postgres use the small partial index of open rows, whatever its statistics say.
    waiting = """
        SELECT type, count(*) AS number FROM (
            SELECT type FROM webhook_event WHERE state = 'pending' ORDER BY next_attempt_at LIMIT :most) open
        GROUP BY type
    """
    failed = """
        SELECT type, error_code AS code, count(*) AS number FROM (
            SELECT type, error_code FROM webhook_event WHERE state = 'failed' ORDER BY received_at LIMIT :most) open
        GROUP BY type, error_code
    """
    _add_up(events, connection, waiting, lambda row: ("pending", metric_label(row.type)))
    _add_up(events, connection, failed, lambda row: ("failed", metric_label(row.type)))
    _add_up(reasons, connection, failed, lambda row: (row.code or "unknown",))
    yield events
    yield reasons
    yield _age("dust_events_oldest_waiting_seconds", "Age of the event that waits longest", oldest_waiting(connection))


def _add_up(
    family: GaugeMetricFamily, connection: Connection, query: str, labels: Callable[[Row[Any]], tuple[str, ...]]
) -> None:
    numbers: dict[tuple[str, ...], int] = {}
    for row in connection.execute(text(query), {"most": _MAX_COUNTED}):
        numbers[labels(row)] = numbers.get(labels(row), 0) + row.number
    for values, number in numbers.items():
        family.add_metric(values, number)


def _redemptions(connection: Connection) -> Iterator[Metric]:
    query = text(
        "SELECT state, count(*) AS number FROM (SELECT state FROM dust_redemption"
        " WHERE state IN ('pending', 'active') ORDER BY state, expires_at LIMIT :most) open GROUP BY state"
    )
    numbers = {row.state: row.number for row in connection.execute(query, {"most": _MAX_COUNTED})}
    family = GaugeMetricFamily("dust_redemptions_open", "Redemptions with points on hold", labels=["state"])
    for state in OPEN_STATES:
        family.add_metric([state], numbers.get(state, 0))
    yield family
    oldest = oldest_pending(connection)
    yield _age(
        "dust_redemptions_oldest_waiting_seconds", "Age of the redemption that waits longest for its promotion", oldest
    )


def _ledger(connection: Connection) -> Iterator[Metric]:
    totals = read_kind_totals(connection)
    postings = CounterMetricFamily("dust_postings", "Rows of the ledger", labels=["kind"])
    credited = CounterMetricFamily("dust_credited", "Points added to balances", labels=["kind"])
    debited = CounterMetricFamily("dust_debited", "Points taken from balances", labels=["kind"])
    for total in totals:
        postings.add_metric([total.kind], total.postings)
        credited.add_metric([total.kind], total.credited)
        debited.add_metric([total.kind], total.debited)
    yield from (postings, credited, debited)
    outstanding = sum(total.credited - total.debited for total in totals)
    yield GaugeMetricFamily("dust_outstanding", "Points on all balances: what the shop owes", outstanding)
    yield GaugeMetricFamily("dust_held", "Points on hold for open redemptions", sum(total.held for total in totals))
    yield GaugeMetricFamily(
        "dust_pending", "Points earned that have not matured", sum(total.pending for total in totals)
    )
    waiting = read_escrow_totals(connection)
    yield GaugeMetricFamily("dust_escrow", "Points of guests' orders that wait to be claimed", waiting.dust)
    yield GaugeMetricFamily("dust_escrow_orders", "Guests' orders that wait to be claimed", waiting.orders)
    yield GaugeMetricFamily("dust_debt", "Points taken back beyond what customers had", read_debt(connection))


def _outgoing_webhooks(connection: Connection) -> Iterator[Metric]:
    webhooks = GaugeMetricFamily(
        "dust_outgoing_webhooks", f"Outgoing webhooks waiting or failed, up to {_MAX_COUNTED} of each", labels=["state"]
    )
    for state in (OutgoingWebhookState.WAITING, OutgoingWebhookState.FAILED):
        webhooks.add_metric([state], count_webhooks(connection, state))
    yield webhooks
    # Without DUST_OUTGOING_WEBHOOK_URL the remaining ones are never sent, so their age is not reported.
    oldest = oldest_waiting_webhook(connection) if webhooks_configured() else None
    yield _age("dust_outgoing_webhooks_oldest_waiting_seconds", "Age of the oldest waiting outgoing webhook", oldest)


def _runs(connection: Connection) -> Iterator[Metric]:
    runs = read_runs(connection)
    beat, audit = runs.get(BEAT), runs.get(AUDIT)
    yield _moment("dust_beat_timestamp_seconds", "When beat's last task ran", beat.at if beat else None)
    yield _moment(
        "dust_reconcile_timestamp_seconds", "When Medusa was last asked for what was missed", last_poll(connection)
    )
    yield _moment("dust_audit_timestamp_seconds", "When the ledger was last audited", audit.at if audit else None)
    breaches = GaugeMetricFamily("dust_audit_breaches", "Breaches that the last audit found", labels=["check"])
    for check, number in (audit.result.get("breaches", {}) if audit else {}).items():
        breaches.add_metric([check], number)
    yield breaches


def _age(name: str, documentation: str, since: datetime | None) -> Metric:
    """A gauge of the age in seconds; 0 if nothing waits."""
    seconds = 0.0 if since is None else max(0.0, (now() - since).total_seconds())
    return GaugeMetricFamily(name, documentation, seconds)


def _moment(name: str, documentation: str, moment: datetime | None) -> Metric:
    """A gauge of the Unix time in seconds; 0 for never."""
    return GaugeMetricFamily(name, documentation, moment.timestamp() if moment else 0.0)
