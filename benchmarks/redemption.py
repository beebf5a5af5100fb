"""Time from requesting a redemption until its code is ready, with a Medusa that takes 50 ms for each response."""

import asyncio
import time

import httpx

from benchmarks.deliveries import customer_name, fill_inbox
from benchmarks.figures import Figure, Outcome, Scale, percentile
from benchmarks.installation import new_installation_with
from bridge.inbox.process_batch import process_batch
from tests.support.medusa import FakeMedusa
from tests.support.tokens import customer

RATE, P99_SECONDS, MEDUSA_SECONDS = 20, 0.500, 0.050
NAME = "redemption"


def measure(scale: Scale) -> Outcome:
    medusa = FakeMedusa()
    medusa.after = lambda _method, _path: time.sleep(MEDUSA_SECONDS)
    wanted = round(RATE * scale.short_seconds)
    with new_installation_with(medusa) as installation:
        with installation.connect() as connection:
            fill_inbox(connection, wanted + 40, customer=lambda n: n)
        while process_batch().taken:
            pass
        # The workers that `dust up` has.
        with (
            installation.serving() as (port, _),
            installation.working("redemptions"),
            installation.working("medusa"),
            installation.working("events", "sweeps"),
        ):
            asyncio.run(_redeem_steadily(port, range(wanted, wanted + 40)))
            seconds = asyncio.run(_redeem_steadily(port, range(wanted)))
    return Outcome(
        figures=[
            Figure(
                measure=NAME, name="request to active code, p99", value=percentile(seconds, 0.99) * 1000, unit="ms",
                limit=P99_SECONDS * 1000, at_most=True,
            ),
            Figure(
                measure=NAME, name="request to active code, p50", value=percentile(seconds, 0.5) * 1000, unit="ms"
            ),
            Figure(
                measure=NAME, name="not active after 10 s", value=wanted - len(seconds), unit="", limit=0, at_most=True
            ),
        ],
        notes=[f"{wanted} redemptions at {RATE}/s, asked for with `wait=10`"],
    )  # fmt: skip


async def _redeem_steadily(port: int, customers: range) -> list[float]:
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}/store/dust", timeout=30, trust_env=False, limits=limits
    ) as client:
        started, tasks = time.perf_counter(), []
        for place, number in enumerate(customers):
            await asyncio.sleep(max(0.0, started + place / RATE - time.perf_counter()))
            tasks.append(asyncio.create_task(_redeem(client, number)))
        return [seconds for seconds in await asyncio.gather(*tasks) if seconds is not None]


async def _redeem(client: httpx.AsyncClient, number: int) -> float | None:
    headers, started = customer(customer_name(number)), time.perf_counter()
    request = {"dust": 10, "currency_code": "eur"}
    asked = await client.post("/redemptions", json=request, headers={**headers, "Idempotency-Key": str(number)})
    asked.raise_for_status()
    response = await client.get(f"/redemptions/{asked.json()['redemption']['id']}?wait=10", headers=headers)
    return time.perf_counter() - started if response.json()["redemption"]["state"] == "active" else None
