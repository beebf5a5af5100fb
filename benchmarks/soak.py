"""Steady load for a while, during a third of which a long report holds its snapshot: what grows, and does it recover?

Postgres keeps every row version that an open transaction can still see. So during a long report, old versions of rows
that change often accumulate, and queries for due rows have to skip them.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from zlib import crc32

import psycopg

from benchmarks.deliveries import fill_inbox
from benchmarks.figures import Figure, Outcome, Scale, percentile
from benchmarks.installation import Installation, new_installation
from bridge.clock import now
from bridge.db import transaction
from bridge.development.stack.processes import until
from bridge.inbox.retention import strip_old_bodies
from bridge.queue.enqueue import INBOX_DRAIN, publish

RATE, AT_ONCE, CUSTOMERS = 300, 30, 1_000
P99_SECONDS, AS_BEFORE = 1.0, 2.0
TABLES = ("webhook_event", "order_settlement", "dust_balance", "dust_transaction", "dust_lot", "dust_lot_use")
NAME = "soak"
# Autovacuum comes every few seconds instead of every minute, so that a minute shows what an hour would.
_SOON = {"autovacuum_naptime": "3s"}
_FEW_DEAD, _RECOVERY_SECONDS = 5_000, 60
_BODIES_KEPT = timedelta(seconds=10)


@dataclass(kw_only=True)
class _Part:
    """One third."""

    waits: list[float] = field(default_factory=list)
    """Seconds from being in the inbox to being handled, of each lot of events."""
    looks: list[float] = field(default_factory=list)
    """Seconds to find what is due, of which there is nothing then."""
    dead: int = 0
    """Dead rows of all tables at its end."""
    mebibytes: float = 0.0
    """By how much tables and indexes have grown."""

    @property
    def wait(self) -> float:
        return percentile(self.waits, 0.99) * 1000

    @property
    def look(self) -> float:
        return percentile(self.looks, 0.99) * 1000


def measure(scale: Scale) -> Outcome:
    parts = {name: _Part() for name in ("before", "meanwhile", "after")}
    with new_installation(_SOON) as installation, installation.working("events"), _retention():
        _work_on(installation, _Part(), seconds=5, first=10**12)
        for number, (name, part) in enumerate(parts.items()):
            with _report(installation) if name == "meanwhile" else nullcontext():
                _work_on(installation, part, seconds=scale.steady_seconds / 3, first=number * 10**9)
        gone = until(lambda: _dead(installation) <= _FEW_DEAD, _RECOVERY_SECONDS)
        left, in_place = _dead(installation), {table: _in_place(installation, table) for table in TABLES}
        waiting = installation.scalar("SELECT count(*) FROM webhook_event WHERE state = 'pending'")
    before, meanwhile, after = parts.values()
    return Outcome(
        figures=[
            Figure(measure=NAME, name="inbox to ledger, p99", value=before.wait, unit="ms"),
            Figure(
                measure=NAME, name="while a report reads", value=meanwhile.wait, unit="ms", limit=P99_SECONDS * 1000,
                at_most=True,
            ),
            Figure(
                measure=NAME, name="after the report", value=after.wait, unit="ms",
                limit=max(before.wait * AS_BEFORE, 100), at_most=True, limit_is="twice that before, or 100 ms",
            ),
            *(
                Figure(measure=NAME, name=f"finding what is due, {name}, p99", value=part.look, unit="ms")
                for name, part in parts.items()
            ),
            Figure(measure=NAME, name="dead rows at the end of the report", value=meanwhile.dead, unit=""),
            Figure(
                measure=NAME, name="dead rows that were not cleared away", value=0 if gone else left, unit="", limit=0,
                at_most=True,
            ),
            Figure(
                measure=NAME, name="balances written in place", value=in_place["dust_balance"] or 0, unit="%", limit=50
            ),
            Figure(measure=NAME, name="events left over", value=waiting, unit="", limit=0, at_most=True),
        ],
        notes=[
            f"{scale.steady_seconds:.0f} s at {RATE} events/s of {CUSTOMERS} customers, bodies stripped after "
            f"{_BODIES_KEPT.seconds} s; tables and indexes grew by "
            + ", ".join(f"{part.mebibytes:.0f} MiB {name}" for name, part in parts.items()),
            "written in place (HOT): "
            + ", ".join(f"{table} {share:.0f} %" for table, share in in_place.items() if share is not None),
        ],
    )  # fmt: skip


def _work_on(installation: Installation, part: _Part, *, seconds: float, first: int) -> None:
    """Insert events at this rate, in groups, and measure how long each waits."""
    before, started, number = _mebibytes(installation), time.perf_counter(), first
    with installation.connect() as connection:
        while (since := time.perf_counter() - started) < seconds:
            time.sleep(max(0.0, (number - first) / RATE - since))
            fill_inbox(connection, AT_ONCE, customer=lambda n: crc32(b"%d" % n) % CUSTOMERS, first=number, count=False)
            began = time.perf_counter()
            publish(INBOX_DRAIN)
            _until_handled(connection, number)
            part.waits.append(time.perf_counter() - began)
            began = time.perf_counter()
            connection.execute("SELECT id FROM webhook_event WHERE state = 'pending' ORDER BY next_attempt_at LIMIT 1")
            part.looks.append(time.perf_counter() - began)
            number += AT_ONCE
    part.dead, part.mebibytes = _dead(installation), _mebibytes(installation) - before


def _until_handled(connection: psycopg.Connection, first: int) -> None:
    ids = [f"msg_{number:026}" for number in range(first, first + AT_ONCE)]
    waiting = "SELECT FROM webhook_event WHERE id = ANY(%s) AND state = 'pending' LIMIT 1"
    deadline = time.monotonic() + 60
    while connection.execute(waiting, [ids]).rowcount:
        if time.monotonic() > deadline:
            raise RuntimeError("events are not handled any more")
        time.sleep(0.005)


@contextmanager
def _report(installation: Installation) -> Iterator[None]:
    """Hold a transaction open that has read something, so that its snapshot stays."""
    with installation.connect() as reader:
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM dust_balance")
        yield
        reader.execute("ROLLBACK")


@contextmanager
def _retention() -> Iterator[None]:
    """Strip old bodies during the whole run, as the hourly upkeep task does."""
    ended = threading.Event()

    def strip() -> None:
        after: str | None = ""
        while not ended.wait(1.0):
            with transaction() as connection:
                _, after = strip_old_bodies(connection, before=now() - _BODIES_KEPT, limit=1_000, after=after or "")

    thread = threading.Thread(target=strip)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _dead(installation: Installation) -> int:
    return installation.scalar("SELECT sum(n_dead_tup) FROM pg_stat_user_tables")


def _mebibytes(installation: Installation) -> float:
    names = ", ".join(f"'{table}'" for table in TABLES)
    total = f"SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables WHERE relname IN ({names})"
    return installation.scalar(total) / 2**20


def _in_place(installation: Installation, table: str) -> float | None:
    """Percent of its updates that touched no index; None for a table that was not updated."""
    with installation.connect() as connection:
        query = "SELECT 100.0 * n_tup_hot_upd / nullif(n_tup_upd, 0) FROM pg_stat_user_tables WHERE relname = %s"
        row = connection.execute(query, [table]).fetchone()
    return None if row is None or row[0] is None else float(row[0])
