"""Durable intake: signed events of 3 KB from 64 connections, and a kill -9 of the API and of Postgres at the end."""

import os
import signal
import time

import psutil
import psycopg

from benchmarks.deliveries import body, webhook
from benchmarks.figures import Figure, Outcome, Scale, cpu_figures, percentile
from benchmarks.installation import Installation, new_installation
from benchmarks.load import send
from benchmarks.pgbench import transactions_per_second
from bridge.development.stack.processes import until

RATE, P99_SECONDS, CONNECTIONS, CUSTOMERS = 2_350, 0.100, 64, 10_000
NAME = "intake"

# The row that the endpoint inserts, with a commit each; the columns of `bridge/inbox/receive.py`.
_SCRIPT = r"""
\set n random(1, 9000000000000000000)
INSERT INTO webhook_event
    (id, type, subject, source, payload, event_at, received_at, state, attempts, next_attempt_at)
VALUES ('msg_' || :n, 'order.placed', 'order_' || :n, 'webhook', '\x{payload}', now(), now(), 'pending', 0, now())
ON CONFLICT DO NOTHING;
"""


def measure(scale: Scale) -> Outcome:
    with new_installation() as installation:
        with installation.serving() as (port, api):
            send(port, lambda n: webhook(10**9 + n, n % CUSTOMERS), connections=CONNECTIONS, seconds=2)
            installation.checkpoint()
            before, cpu_before = (
                installation.scalar("SELECT count(*) FROM webhook_event"),
                installation.cpu_seconds(api),
            )
            answers = send(port, lambda n: webhook(n, n % CUSTOMERS), connections=CONNECTIONS, seconds=scale.seconds)
            cpu = cpu_figures(NAME, "the API", cpu_before, installation.cpu_seconds(api), len(answers.seconds))
            os.killpg(api.pid, signal.SIGKILL)
            _kill(installation.postmaster())
        until(lambda: _up_again(installation), 120)
        lost = answers.statuses[202] - (installation.scalar("SELECT count(*) FROM webhook_event") - before)
        installation.checkpoint()
        script = _SCRIPT.replace("{payload}", body(1, 1).hex())
        bare = transactions_per_second(
            installation.database_url, script, clients=CONNECTIONS, seconds=scale.comparison_seconds
        )  # fmt: skip
    refused = sum(answers.statuses.values()) - answers.statuses[202]
    return Outcome(
        figures=[
            Figure(
                measure=NAME, name="durable intake", value=answers.rate, unit="events/s", throughput=True, limit=RATE
            ),
            # No goal, but how far away the ceiling is: it does without HTTP, a signature and JSON.
            Figure(measure=NAME, name="share of pgbench with the same row", value=answers.rate / bare * 100, unit="%"),
            Figure(
                measure=NAME, name="p99", value=percentile(answers.seconds, 0.99) * 1000, unit="ms",
                limit=P99_SECONDS * 1000, at_most=True,
            ),
            Figure(measure=NAME, name="p50", value=percentile(answers.seconds, 0.50) * 1000, unit="ms"),
            Figure(
                measure=NAME, name="acknowledged and lost by kill -9", value=lost, unit="events", limit=0, at_most=True
            ),
            Figure(measure=NAME, name="not answered 202", value=refused, unit="events", limit=0, at_most=True),
            *cpu,
        ],
        notes=[
            f"two API processes, {CONNECTIONS} connections, {answers.lasted:.0f} s, {len(body(1, 1))} bytes",
            f"pgbench, {CONNECTIONS} clients, one commit each: {bare:,.0f}/s",
        ],
    )  # fmt: skip


def _kill(postmaster: psutil.Process) -> None:
    for process in [postmaster, *postmaster.children()]:
        process.kill()


def _up_again(installation: Installation) -> bool:
    time.sleep(0.2)
    try:
        return installation.scalar("SELECT 1") == 1
    except psycopg.Error:
        return False
