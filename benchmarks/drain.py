"""Process a backlog of order events that carry their orders, with two worker processes."""

import time
from zlib import crc32

import psycopg

from benchmarks.deliveries import Customer, fill_inbox
from benchmarks.figures import Figure, Outcome, Scale, cpu_figures
from benchmarks.installation import Installation, new_installation
from benchmarks.pgbench import transactions_per_second
from bridge.development.stack.processes import until
from bridge.operations.audit import audit
from bridge.queue.enqueue import INBOX_DRAIN, publish

RATE, CUSTOMERS = 5_000, 10_000
NAME = "drain"
_WARM_UP = 2_000

# The rows that one earning order changes, as separate statements in one transaction, one commit each.
_SCRIPT = """
\\set n random(1, 9000000000000000000)
\\set c random(1, {customers})
BEGIN;
INSERT INTO order_settlement (order_id, customer_id, facts_version, facts_updated_at, programme_version, earning_due,
        booked, lines, placed_at, updated_at)
    VALUES ('order_' || :n, 'cus_' || :c, 1, now(), 0, true, 47,
        '{"ordli_1": {"share": "40", "dust_only": false}, "ordli_2": {"share": "7", "dust_only": false}}', now(),
        now());
INSERT INTO dust_balance (customer_id) VALUES ('cus_' || :c) ON CONFLICT DO NOTHING;
UPDATE dust_balance SET balance = balance + 47, version = version + 1, head = sha256(head), updated_at = now()
    WHERE customer_id = 'cus_' || :c;
INSERT INTO dust_transaction (customer_id, version, id, amount, held, pending, type, kind, reference_type, reference_id,
        description, balance_after, held_after, pending_after, programme_version, actor, event_at, created_at, hash)
    VALUES ('cus_' || :c, :n, 'dtx_01M81CJGDX3DFT0A71GJEWSAEZ', 47, 0, 0, 'credit', 'earn', 'order', 'order_' || :n,
        'Earned with an order', 47, 0, 0, 0, 'dust', now(), now(), sha256('x'));
INSERT INTO dust_lot (customer_id, id, origin_version, source_type, source_id, amount, remaining, held, matured,
        created_at)
    VALUES ('cus_' || :c, 'dlot_' || :n, 1, 'order', 'order_' || :n, 47, 47, 0, true, now());
INSERT INTO dust_lot_use (customer_id, version, lot_id, remaining, held)
    VALUES ('cus_' || :c, :n, 'dlot_' || :n, 47, 0);
UPDATE webhook_event SET state = 'handled', next_attempt_at = NULL, handled_at = now(), reason = '47 points earned.'
    WHERE id = (SELECT id FROM webhook_event WHERE state = 'pending' ORDER BY next_attempt_at LIMIT 1
                FOR UPDATE SKIP LOCKED);
COMMIT;
"""


def measure(scale: Scale) -> Outcome:
    with new_installation() as installation:
        rate, cpu = drained(installation, scale.backlog, customer=lambda n: crc32(b"%d" % n) % CUSTOMERS)
        breaches = len(audit())
        with installation.connect() as connection:
            fill_inbox(connection, scale.backlog, customer=lambda n: n, first=10**9)
        installation.checkpoint()
        script = _SCRIPT.replace("{customers}", str(CUSTOMERS))
        bare = transactions_per_second(installation.database_url, script, clients=8, seconds=scale.comparison_seconds)
    return Outcome(
        figures=[
            Figure(measure=NAME, name="draining a backlog", value=rate, unit="events/s", throughput=True, limit=RATE),
            Figure(
                measure=NAME, name="beside the same rows in pgbench", value=rate, unit="events/s", limit=bare,
                limit_is="pgbench, 8 clients, one commit an event",
            ),
            Figure(measure=NAME, name="breaches of the audit", value=breaches, unit="", limit=0, at_most=True),
            *cpu,
        ],
        notes=[f"{scale.backlog} events of {CUSTOMERS} customers, one worker with two processes"],
    )  # fmt: skip


def drained(
    installation: Installation, events: int, *, customer: Customer, first: int = 0
) -> tuple[float, list[Figure]]:
    """Fill the inbox while two worker processes wait, then measure events per second and their cost."""
    with installation.working("events") as worker, installation.connect() as connection:
        # Both processes have done something before it counts.
        fill_inbox(connection, _WARM_UP, customer=customer, first=first + events)
        _drain(connection)
        fill_inbox(connection, events, customer=customer, first=first)
        installation.checkpoint()
        before, started = installation.cpu_seconds(worker), time.perf_counter()
        _drain(connection)
        lasted = time.perf_counter() - started
        return events / lasted, cpu_figures(NAME, "the worker", before, installation.cpu_seconds(worker), events)


def _drain(connection: psycopg.Connection) -> None:
    publish(INBOX_DRAIN)
    publish(INBOX_DRAIN)
    # One by the small index of what is due: counting all ten times a second would take a twentieth of the machine.
    left = "SELECT id FROM webhook_event WHERE state = 'pending' ORDER BY next_attempt_at LIMIT 1"
    if not until(lambda: connection.execute(left).fetchone() is None, 600):
        raise RuntimeError("the backlog does not end")
