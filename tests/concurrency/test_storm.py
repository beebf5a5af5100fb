"""A thousand orders, thrice delivered, shuffled, a fifth of them never: after one reconcile everything is right."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import Any

from fastapi.testclient import TestClient

from bridge.inbox.process_batch import process_batch
from bridge.inbox.reconcile import reconcile
from bridge.medusa.client import get_medusa
from bridge.operations.audit import audit
from tests.support.deliveries import deliver
from tests.support.ledger import stored_balances
from tests.support.medusa import FakeMedusa
from tests.support.order_histories import balances, order_lives
from tests.support.orders import PLACED, order_event

ORDERS, CUSTOMERS, TIMES = 1_000, 100, 3
LOST_SHARE = 0.2


def drain_all() -> None:
    while process_batch().taken:
        pass


def deliver_all(api: TestClient, bodies: list[bytes]) -> None:
    """Four senders and two drains, side by side."""
    sent = Event()

    def drain_meanwhile(_: int) -> None:
        while not sent.is_set():
            process_batch()

    def send(body: bytes) -> int:
        status: int = deliver(api, body).status_code
        return status

    with ThreadPoolExecutor(2) as drains, ThreadPoolExecutor(4) as senders:
        working = drains.map(drain_meanwhile, range(2))
        try:
            assert set(senders.map(send, bodies)) == {202}
        finally:
            sent.set()
        list(working)
    drain_all()


def test_a_storm_and_one_reconcile_end_where_an_independent_reference_does(
    api: TestClient, medusa: FakeMedusa, enqueued: list[Any]
) -> None:
    chance = random.Random(20261122)
    lives = order_lives(ORDERS, customers=CUSTOMERS, chance=chance)
    lost = set(chance.sample(range(ORDERS), int(ORDERS * LOST_SHARE)))
    # Any of its facts: the newest may come first, or never.
    deliveries = [
        (life, chance.randrange(len(life.facts)))
        for number, life in enumerate(lives)
        for _ in range(TIMES)
        if number not in lost
    ]
    chance.shuffle(deliveries)
    deliver_all(api, [order_event(life.facts[place]) for life, place in deliveries])
    heard: dict[str, int] = {}
    for life, place in deliveries:
        heard[life.order_id] = max(place, heard.get(life.order_id, 0))
    assert stored_balances() == balances(lives, heard)

    medusa.orders = {life.order_id: life.newest for life in lives}
    found = reconcile(get_medusa(), since=PLACED - timedelta(days=1))
    assert found.orders_seen == ORDERS
    behind = {life.order_id for life in lives if heard.get(life.order_id) != len(life.facts) - 1}
    assert set(found.drifted) == behind
    drain_all()
    assert stored_balances() == balances(lives)
    assert audit() == []
    again = reconcile(get_medusa(), since=PLACED - timedelta(days=1))
    assert (again.orders_seen, again.drifted) == (ORDERS, [])
