"""Time from sending a webhook until its points are in the balance, at a steady rate, for every tenth event."""

import asyncio
import time

import uvloop

from benchmarks.deliveries import WORTH, customer_name, read, webhook
from benchmarks.figures import Figure, Outcome, Scale, percentile
from benchmarks.installation import new_installation
from benchmarks.load import Answers, sending
from tests.support.tokens import token

RATE, P50_SECONDS, P99_SECONDS = 300, 0.100, 1.0
WATCHED, LOOK_EVERY_SECONDS, PATIENCE_SECONDS = 10, 0.005, 30.0
NAME = "latency"


def measure(scale: Scale) -> Outcome:
    with (
        new_installation() as installation,
        installation.serving() as (port, _),
        installation.working("events", "sweeps"),
    ):
        uvloop.run(_watched(port, seconds=5, first=10**9))
        answers, seen = uvloop.run(_watched(port, seconds=scale.short_seconds, first=0))
    return Outcome(
        figures=[
            Figure(
                measure=NAME, name="webhook to visible balance, p50", value=percentile(seen, 0.5) * 1000, unit="ms",
                limit=P50_SECONDS * 1000, at_most=True,
            ),
            Figure(
                measure=NAME, name="webhook to visible balance, p99", value=percentile(seen, 0.99) * 1000, unit="ms",
                limit=P99_SECONDS * 1000, at_most=True,
            ),
            Figure(measure=NAME, name="rate that was held", value=answers.rate, unit="events/s", limit=RATE * 0.98),
        ],
        notes=[f"{len(seen)} of {len(answers.seconds)} events were watched, by asking every 5 ms"],
    )  # fmt: skip


async def _watched(port: int, *, seconds: float, first: int) -> tuple[Answers, list[float]]:
    watches: list[asyncio.Task[float]] = []

    def source(number: int) -> bytes:
        if number % WATCHED == 0:
            watches.append(asyncio.create_task(_visible_after(port, first + number, time.perf_counter())))
        return webhook(first + number, first + number)

    answers = await sending(port, source, connections=32, seconds=seconds, rate=RATE)
    return answers, list(await asyncio.gather(*watches))


async def _visible_after(port: int, customer: int, since: float) -> float:
    """Return the seconds from `since` until the customer has points."""
    request = read("/store/dust/balance", token(customer_name(customer)))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while time.perf_counter() - since < PATIENCE_SECONDS:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            at = head.lower().index(b"content-length:") + 15
            body = await reader.readexactly(int(head[at : head.index(b"\r", at)]))
            if b'"balance":%d,' % WORTH in body:
                return time.perf_counter() - since
            await asyncio.sleep(LOOK_EVERY_SECONDS)
    finally:
        writer.close()
    return PATIENCE_SECONDS
