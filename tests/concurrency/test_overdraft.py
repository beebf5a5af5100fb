"""Many clients debit one account concurrently, through a real server: no overdraft and no deadlock."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import text

from bridge.db import transaction
from tests.support import tokens
from tests.support.databases import deadlocks
from tests.support.processes import serving_dust

pytestmark = pytest.mark.servers

CLIENTS = 64
BALANCE, DEBIT = 1_000, 70
FITTING = BALANCE // DEBIT
Answer = tuple[int, str | None]


def adjust(client: httpx.Client, customer: str, amount: int, key: str) -> Answer:
    headers = {**tokens.admin(), "Idempotency-Key": key}
    requested = {"amount": amount, "reason": key}
    response = client.post(f"/admin/dust/customers/{customer}/adjustments", json=requested, headers=headers)
    return response.status_code, response.json().get("code")


def figures(customer: str) -> tuple[int, int, int]:
    with transaction() as connection:
        query = text("SELECT balance, held, version FROM dust_balance WHERE customer_id = :customer")
        return tuple(connection.execute(query, {"customer": customer}).one())  # type: ignore[return-value]


@pytest.fixture
def client(settings: dict[str, str]) -> Iterator[httpx.Client]:
    """A real server."""
    with serving_dust(settings) as url, httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
        yield client


def at_once(client: httpx.Client, customer: Callable[[int], str], amount: int, times: int = 1) -> Counter[Answer]:
    """Every client posts this many adjustments, all at the same time. Returns the responses, counted."""
    start = threading.Barrier(CLIENTS)

    def adjust_repeatedly(number: int) -> list[Answer]:
        start.wait(60)
        return [adjust(client, customer(number), amount, f"{amount} {number} {time}") for time in range(times)]

    with ThreadPoolExecutor(CLIENTS) as pool:
        return Counter(answer for answers in pool.map(adjust_repeatedly, range(CLIENTS)) for answer in answers)


def test_64_clients_at_one_account_overdraw_nothing_and_lose_nothing(
    client: httpx.Client, settings: dict[str, str]
) -> None:
    assert adjust(client, "cus_1", BALANCE, "gift") == (201, None)
    # No request waits for the account until it times out: each is accepted or refused.
    answers = at_once(client, lambda _: "cus_1", -DEBIT)
    assert answers == {(201, None): FITTING, (409, "insufficient_dust"): CLIENTS - FITTING}
    assert figures("cus_1") == (BALANCE - FITTING * DEBIT, 0, 1 + FITTING)

    # One customer with many requests beside others: one client in four has its own account, the rest share one.
    crowd = at_once(client, lambda number: "cus_hot" if number % 4 else f"cus_{number}", 10, times=3)
    assert crowd == {(201, None): CLIENTS * 3}
    hot = CLIENTS * 3 // 4 * 3
    assert figures("cus_hot") == (hot * 10, 0, hot)
    assert figures("cus_0") == (30, 0, 3)
    assert deadlocks(settings["DUST_DATABASE_URL"]) == 0
