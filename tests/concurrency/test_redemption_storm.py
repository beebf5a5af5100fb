"""Fifty concurrent redemptions of one balance, with real processes: never more points held than owned."""

import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId, new_id
from bridge.ledger.adjust import adjust_balance
from tests.support import tokens
from tests.support.brokers import own_broker
from tests.support.medusa import FakeMedusa, serving
from tests.support.processes import eventually, serving_dust

pytestmark = pytest.mark.servers

BALANCE, DUST_EACH, AT_ONCE = 1_000, 90, 50
FITTING = BALANCE // DUST_EACH


def give(dust: int) -> None:
    with transaction() as connection:
        adjust_balance(
            connection,
            CustomerId("cus_1"),
            dust,
            reason="gift",
            description="gift",
            idempotency_key=new_id("key"),
            actor="test",
            now=now(),
        )


def figures() -> tuple[int, int]:
    with transaction() as connection:
        row = connection.execute(text("SELECT balance, held FROM dust_balance WHERE customer_id = 'cus_1'")).one()
        return row.balance, row.held


def states() -> dict[str, int]:
    with transaction() as connection:
        rows = connection.execute(text("SELECT state, count(*) AS number FROM dust_redemption GROUP BY state"))
        return {row.state: row.number for row in rows}


def value_of_codes(medusa: FakeMedusa) -> Decimal:
    """The sum of what all live promotions take off, in points."""
    return sum(
        (Decimal(str(p["application_method"]["value"])) * 100 for p in list(medusa.promotions.values())), Decimal(0)
    )


@contextmanager
def watched(medusa: FakeMedusa) -> Iterator[list[tuple[int, int, Decimal]]]:
    """Read repeatedly in a thread. Yields what was read: balance, held points, and the value of the codes in Medusa."""
    looks: list[tuple[int, int, Decimal]] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            # Medusa first: the points of its codes must have been held before.
            looks.append((*figures(), value_of_codes(medusa)))
            time.sleep(0.02)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield looks
    finally:
        over.set()
        watcher.join()


def lose_every_fifth_reply(medusa: FakeMedusa) -> None:
    """Lose the reply to every fifth call that changes something, after it took effect."""
    calls = itertools.count(1)

    def after(method: str, path: str) -> None:
        if method != "GET" and next(calls) % 5 == 0:
            raise ConnectionResetError("the reply was lost")

    medusa.after = after


def test_fifty_at_once_hold_no_more_than_there_is_and_leave_no_code_behind(settings: dict[str, str]) -> None:
    medusa = FakeMedusa()
    lose_every_fifth_reply(medusa)
    give(BALANCE)
    with own_broker() as broker, serving(medusa) as medusa_url:
        environment = {
            **settings,
            "DUST_BROKER_URL": broker.url,
            "DUST_MEDUSA_URL": medusa_url,
            "DUST_SWEEP_SECONDS": "1",
        }
        with (
            serving_dust(environment, worker="worker --concurrency 2", beat="beat") as url,
            watched(medusa) as looks,
        ):
            answers = redeem_at_once(url)
            assert sorted(set(answers)) == [(202, None), (409, "insufficient_dust")]
            assert answers.count((202, None)) == FITTING
            eventually(lambda: states() == {"active": FITTING})
            assert len(medusa.live_codes()) == FITTING
            assert figures() == (BALANCE, FITTING * DUST_EACH)

            let_time_run_out()
            eventually(lambda: figures()[1] == 0)
            eventually(lambda: states() == {"released": FITTING})
            assert medusa.live_codes() == set()
            assert len(medusa.deleted_codes) == FITTING
            assert figures() == (BALANCE, 0)
    assert len(looks) > AT_ONCE
    assert all(0 <= held <= balance for balance, held, _ in looks)
    assert all(value <= balance for balance, _, value in looks)


def redeem_at_once(url: str) -> list[tuple[int, Any]]:
    start = threading.Barrier(AT_ONCE)

    def redeem_once(number: int) -> tuple[int, Any]:
        headers = {**tokens.customer(), "Idempotency-Key": f"click {number}"}
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            client.get("/health/live")
            start.wait(60)
            requested = {"dust": DUST_EACH, "currency_code": "eur"}
            response = client.post("/store/dust/redemptions", json=requested, headers=headers)
            return response.status_code, response.json().get("code")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(redeem_once, range(AT_ONCE)))


def let_time_run_out() -> None:
    """Let the codes expire without waiting."""
    with transaction() as connection:
        connection.execute(text("UPDATE dust_redemption SET expires_at = :now"), {"now": now()})
