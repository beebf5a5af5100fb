"""Metrics that the processes of Dust count: webhooks, inbox, calls to Medusa.

Prometheus' client library counts per process. Dust has many processes (API processes and workers, on any number of
machines), and most of them are not scraped. So every few seconds each process adds its counts to totals in the
database, and every API process exposes all totals.

- Counting costs a few microseconds. Saving costs one small statement, if a count has changed.
- A killed process loses its unsaved counts, a few seconds at most.
- Every API process exposes the same totals: aggregate instances with `max`, not `sum`.

Values that can be read from tables (waiting events, ledger sums) are in `operations/metrics_collector.py`.
"""

import json
import os
import threading
from collections.abc import Iterable, Iterator
from functools import partial

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import Metric
from sqlalchemy import Column, Connection, Double, Table, Text, select
from sqlalchemy.dialects.postgresql import insert

from bridge.db import metadata, transaction
from bridge.errors import Unavailable
from bridge.per_process import PerProcess

log = structlog.get_logger(__name__)

_counted = CollectorRegistry()

_counter = partial(Counter, registry=_counted)

EVENTS_RECEIVED = _counter(
    "dust_events_received", "Events taken in, and what the sender was answered", ["type", "receipt"]
)
WEBHOOKS_REFUSED = _counter("dust_webhooks_refused", "Deliveries that the webhook endpoint refused", ["code"])
EVENTS_HANDLED = _counter("dust_events_handled", "Events processed", ["type"])
EVENTS_RESCHEDULED = _counter(
    "dust_events_rescheduled", "Attempts that failed for a temporary reason; each is repeated", ["code"]
)
EVENTS_FAILED = _counter("dust_events_failed", "Events that failed and need an operator", ["type", "code"])
EVENTS_RETRIED = _counter("dust_events_retried", "Failed events that an operator retried")
REDEMPTIONS_ENDED = _counter("dust_redemptions_ended", "Redemptions that were captured, released or failed", ["state"])
DRIFT_FOUND = _counter("dust_drift_found", "Changes in Medusa that came without a webhook", ["what"])
OUTGOING_WEBHOOKS_SENT = _counter(
    "dust_outgoing_webhooks_sent", "Outgoing webhooks that the receiver accepted", ["type"]
)
OUTGOING_WEBHOOKS_FAILED = _counter(
    "dust_outgoing_webhooks_failed", "Attempts to deliver an outgoing webhook that failed, by HTTP status", ["status"]
)
HTTP_SECONDS = Histogram(
    "dust_http_request_seconds", "Requests answered, by route", ["method", "route", "status"], registry=_counted,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
)  # fmt: skip
MEDUSA_SECONDS = Histogram(
    "dust_medusa_call_seconds", "Duration of calls to Medusa, failed ones included", ["call"], registry=_counted,
    # The last bucket is the client's default timeout (DUST_MEDUSA_TIMEOUT_SECONDS).
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)  # fmt: skip
MEDUSA_ERRORS = _counter("dust_medusa_errors", "Failed calls to Medusa", ["call", "reason"])

metric_total = Table(
    "metric_total",
    metadata,
    Column("name", Text, primary_key=True),
    Column("labels", Text, primary_key=True),
    Column("value", Double, nullable=False),
    postgresql_with={"fillfactor": "50"},
)

_SAVE_SECONDS = 5.0
_Sample = tuple[str, str]

# Exposed as 0 before their first count. Otherwise Prometheus sees no increase at the first count, and alerts on these
# would miss it.
_ALARMING: list[_Sample] = [
    ("dust_webhooks_refused_total", '{"code": "bad_signature"}'),
    ("dust_redemptions_ended_total", '{"state": "failed"}'),
    ("dust_drift_found_total", '{"what": "orders"}'),
    ("dust_drift_found_total", '{"what": "customers"}'),
]

_saving = threading.Lock()
_saved: dict[_Sample, float] = {}


def save_counts() -> None:
    """Add the counts since the last save to the totals. Raises `DatabaseAway`; the next save includes them then.

    If the response to a commit is lost, its counts are added twice.
    """
    with _saving:
        counted = dict(_samples())
        unsaved = {sample: value - _saved.get(sample, 0.0) for sample, value in counted.items()}
        # Sorted, so that two processes that save at the same time cannot deadlock.
        rows = [
            {"name": name, "labels": labels, "value": more} for (name, labels), more in sorted(unsaved.items()) if more
        ]
        if not rows:
            return
        statement = insert(metric_total)
        statement = statement.on_conflict_do_update(
            index_elements=["name", "labels"], set_={"value": metric_total.c.value + statement.excluded.value}
        )
        with transaction() as connection:
            connection.execute(statement, rows)
        _saved.update(counted)


def start_over() -> None:
    """Mark all counts as saved. After a fork they are the parent process's, which saves them itself."""
    _saved.clear()
    _saved.update(_samples())


def _samples() -> Iterator[tuple[_Sample, float]]:
    for metric in _counted.collect():
        for sample in metric.samples:
            if not sample.name.endswith("_created"):
                yield (sample.name, json.dumps(sample.labels, sort_keys=True)), sample.value


def read_counts(connection: Connection) -> Iterable[Metric]:
    """The totals of all processes, as Prometheus metric families."""
    families = {}
    for counted in _counted.collect():
        families[counted.name] = Metric(counted.name, counted.documentation, counted.type)
    totals = dict.fromkeys(_ALARMING, 0.0)
    totals |= {(row.name, row.labels): row.value for row in connection.execute(select(metric_total))}
    for (name, labels), value in sorted(totals.items()):
        family = families.get(_family_of(name))
        if family is not None:
            family.add_sample(name, json.loads(labels), value)
    for family in families.values():
        # The buckets of a histogram are sorted by number. Sorted as text, `10.0` would come before `5.0`.
        family.samples.sort(key=lambda sample: float(sample.labels.get("le", "inf")))
    return families.values()


def _family_of(sample_name: str) -> str:
    return next(
        (sample_name.removesuffix(end) for end in ("_total", "_bucket", "_count", "_sum") if sample_name.endswith(end)),
        sample_name,
    )


class _Keeper(threading.Thread):
    """Thread that saves the counts every few seconds until `stop`."""

    def __init__(self) -> None:
        super().__init__(name="dust-metrics", daemon=True)
        self._leaving = threading.Event()

    def run(self) -> None:
        while not self._leaving.wait(_SAVE_SECONDS):
            self._save()

    def stop(self) -> None:
        """Save a last time and end the thread."""
        self._leaving.set()
        self.join()
        self._save()

    @staticmethod
    def _save() -> None:
        try:
            save_counts()
        except Unavailable:
            log.info("counts_wait_for_database")
        except Exception:
            # Metrics must not fail anything else, and the next save may succeed.
            log.exception("counts_not_saved")


@PerProcess
def _keeper() -> _Keeper:
    keeper = _Keeper()
    keeper.start()
    return keeper


def start_saving() -> None:
    """Start to save this process's counts periodically. Calling it again is harmless."""
    _keeper()


def stop_saving() -> None:
    """Save a last time and stop, before the process ends."""
    _keeper().stop()
    _keeper.clear()


# A forked child has its parent's counts and none of its threads.
os.register_at_fork(after_in_child=start_over)
