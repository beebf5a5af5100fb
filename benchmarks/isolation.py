"""How much a slow part delays the others: a hanging Medusa, a backlog, long polls, one customer with many codes."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any

import httpx

from benchmarks.deliveries import customer_name, fill_inbox, read
from benchmarks.figures import Figure, Outcome, Scale, percentile
from benchmarks.installation import Installation, new_installation_with
from benchmarks.load import Answers, send
from bridge.inbox.process_batch import process_batch
from bridge.redemptions.service import MAX_OPEN_REDEMPTIONS
from tests.support.deliveries import deliver
from tests.support.medusa import FakeMedusa, cart_line
from tests.support.orders import event
from tests.support.tokens import customer, token

NAME = "isolation"
GUEST_QUOTES, HANGING_SECONDS = 200, 4.0
WAITING_EVENTS, MEDUSA_SECONDS = 2_000, 0.050
LONG_POLLS = 400
READ_P99_SECONDS, REDEMPTION_P99_SECONDS = 0.100, 1.0
# With that rate nothing queues: the question is what else is in the way.
REDEMPTIONS_PER_SECOND = 5

Client = httpx.AsyncClient


def measure(scale: Scale) -> Outcome:
    medusa = FakeMedusa()
    medusa.add_cart(lines=[cart_line()], customer_id=None)
    seconds = scale.short_seconds
    redemptions = round(REDEMPTIONS_PER_SECOND * seconds)
    # The crowd of guests has one address here.
    no_limits = {"DUST_RATE_LIMIT_GUESTS": "1000000/minute", "DUST_RATE_LIMIT_PUBLIC": "1000000/minute"}
    with new_installation_with(medusa, **no_limits) as installation:
        with installation.connect() as connection:
            fill_inbox(connection, LONG_POLLS + 2 * redemptions + 2, customer=lambda n: n)
        while process_batch().taken:
            pass
        with installation.serving(workers=1) as (port, _):
            figures = [*_reads_while_medusa_hangs(port, medusa, seconds), *_reads_beside_long_polls(port, seconds)]
            medusa.after = lambda _method, _path: time.sleep(MEDUSA_SECONDS)
            with (
                installation.working("redemptions"),
                installation.working("medusa"),
                installation.working("events", "sweeps"),
            ):
                figures += _redemptions(port, installation, redemptions)
    return Outcome(figures=figures, notes=["one API process; the crowds come from the process that measures"])


def _reads_while_medusa_hangs(port: int, medusa: FakeMedusa, seconds: float) -> Iterator[Figure]:
    medusa.after = lambda _method, _path: time.sleep(HANGING_SECONDS)

    async def quote(client: Client) -> None:
        await client.post("/store/dust/quote/guest", json={"cart_id": "cart_1"})
        # A refused client waits before it tries again.
        await asyncio.sleep(1)

    with _crowd(port, GUEST_QUOTES, lambda client, _: quote(client)):
        for path in ("/health/live", "/store/dust/balance", "/store/dust/products", "/store/dust"):
            answers = _read(port, path, seconds / 4)
            yield Figure(
                measure=NAME, name=f"{path} while {GUEST_QUOTES} guest quotes wait, p99",
                value=percentile(answers.seconds, 0.99) * 1000, unit="ms", limit=READ_P99_SECONDS * 1000, at_most=True,
            )  # fmt: skip
    medusa.after = None


def _reads_beside_long_polls(port: int, seconds: float) -> Iterator[Figure]:
    without = percentile(_read(port, "/store/dust/balance", seconds / 2).seconds, 0.5)
    # No worker runs, so the redemptions stay pending.
    pending = asyncio.run(_redeem_all(port, range(LONG_POLLS)))

    async def wait(client: Client, number: int) -> None:
        path = f"/store/dust/redemptions/{pending[number % LONG_POLLS]}?wait=30"
        await client.get(path, headers=customer(customer_name(number % LONG_POLLS)))

    with _crowd(port, LONG_POLLS, wait):
        beside = percentile(_read(port, "/store/dust/balance", seconds / 2).seconds, 0.5)
    yield Figure(
        measure=NAME, name=f"balance beside {LONG_POLLS} long polls, p50", value=beside * 1000, unit="ms",
        limit=without * 2000, limit_is=f"twice the {without * 1000:.2f} ms without", at_most=True,
    )  # fmt: skip


def _redemptions(port: int, installation: Installation, redemptions: int) -> Iterator[Figure]:
    # Those of the long polls come first.
    def pending() -> int:
        return installation.scalar("SELECT count(*) FROM dust_redemption WHERE state = 'pending'")

    while pending():
        time.sleep(0.1)
    busy, first = customer_name(LONG_POLLS + 2 * redemptions + 1), LONG_POLLS
    asyncio.run(_fill_up(port, busy))
    seconds = asyncio.run(_redeem_steadily(port, range(first, first + redemptions)))
    yield _redemption_figure("while another customer has the most open ones", seconds, redemptions)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        for number in range(WAITING_EVENTS):
            deliver(
                client, event("order.updated", {"id": f"order_waits_{number}"}, datetime.now(UTC))
            ).raise_for_status()
    first += redemptions
    seconds = asyncio.run(_redeem_steadily(port, range(first, first + redemptions)))
    left = installation.scalar("SELECT count(*) FROM webhook_event WHERE subject LIKE 'order_waits_%' AND attempts = 0")
    yield _redemption_figure(
        f"with {WAITING_EVENTS} events to fetch ({left} still wait at the end)", seconds, redemptions
    )


def _redemption_figure(name: str, seconds: list[float], redemptions: int) -> Figure:
    # One that is not active after 10 s counts as such.
    missing = [10.0] * (redemptions - len(seconds))
    return Figure(
        measure=NAME, name=f"redemption {name}, p99", value=percentile([*seconds, *missing], 0.99) * 1000, unit="ms",
        limit=REDEMPTION_P99_SECONDS * 1000, at_most=True,
    )  # fmt: skip


def _read(port: int, path: str, seconds: float) -> Answers:
    request = read(path, token(customer_name(0)))
    return send(port, lambda _: request, connections=4, seconds=seconds)


@contextmanager
def _crowd(port: int, size: int, ask: Callable[[Client, int], Coroutine[Any, Any, None]]) -> Iterator[None]:
    """Send requests in a loop from this many clients, in a separate thread."""
    leaving, numbers = threading.Event(), count()

    async def one(client: Client) -> None:
        while not leaving.is_set():
            try:
                await ask(client, next(numbers))
            except httpx.HTTPError:
                await asyncio.sleep(0.1)

    async def all_of_them() -> None:
        limits = httpx.Limits(max_connections=size)
        async with Client(base_url=f"http://127.0.0.1:{port}", timeout=40, trust_env=False, limits=limits) as client:
            tasks = [asyncio.create_task(one(client)) for _ in range(size)]
            while not leaving.is_set():
                await asyncio.sleep(0.1)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=lambda: asyncio.run(all_of_them()))
    thread.start()
    time.sleep(2)
    try:
        yield
    finally:
        leaving.set()
        thread.join()


async def _ask(client: Client, customer_id: str, key: object, dust: int = 1) -> str:
    headers = {**customer(customer_id), "Idempotency-Key": str(key)}
    response = await client.post(
        "/store/dust/redemptions", json={"dust": dust, "currency_code": "eur"}, headers=headers
    )
    if response.is_error:
        raise RuntimeError(response.text)
    return str(response.json()["redemption"]["id"])


async def _redeem_all(port: int, customers: range) -> list[str]:
    async with Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
        return [await _ask(client, customer_name(number), f"poll-{number}") for number in customers]


async def _fill_up(port: int, customer_id: str) -> None:
    async with Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
        for number in range(MAX_OPEN_REDEMPTIONS):
            await _ask(client, customer_id, f"busy-{number}")


async def _redeem_steadily(port: int, customers: range) -> list[float]:
    async with Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:

        async def one(number: int) -> float | None:
            started = time.perf_counter()
            redemption_id = await _ask(client, customer_name(number), number)
            path = f"/store/dust/redemptions/{redemption_id}?wait=10"
            response = await client.get(path, headers=customer(customer_name(number)))
            seconds = time.perf_counter() - started
            return seconds if response.json()["redemption"]["state"] == "active" else None

        tasks = []
        for number in customers:
            tasks.append(asyncio.create_task(one(number)))
            await asyncio.sleep(1 / REDEMPTIONS_PER_SECOND)
        return [seconds for seconds in await asyncio.gather(*tasks) if seconds is not None]
