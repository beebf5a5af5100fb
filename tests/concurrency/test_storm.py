"""A thousand orders in random sequence, each delivered three times or never: one reconcile settles them all."""

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
from tests.support.order_histories import balances, order_histories
from tests.support.orders import PLACED, order_event

ORDERS, CUSTOMERS, TIMES = 1_000, 100, 3
LOST_SHARE = 0.2


def drain_all() -> None:
    while process_batch().taken:
        pass


def deliver_all(api: TestClient, bodies: list[bytes]) -> None:
    """Four threads deliver, and two process the inbox."""
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


def test_concurrent_deliveries_and_one_reconcile_equal_an_independent_computation(
    api: TestClient, medusa: FakeMedusa, enqueued: list[Any]
) -> None:
    chance = random.Random(20261122)
    histories = order_histories(ORDERS, customers=CUSTOMERS, chance=chance)
    lost = set(chance.sample(range(ORDERS), int(ORDERS * LOST_SHARE)))
    # Any version of its facts: the newest may arrive first, or never.
    deliveries = [
        (history, chance.randrange(len(history.facts)))
        for number, history in enumerate(histories)
        for _ in range(TIMES)
        if number not in lost
    ]
    chance.shuffle(deliveries)
    deliver_all(api, [order_event(history.facts[place]) for history, place in deliveries])
    received: dict[str, int] = {}
    for history, place in deliveries:
        received[history.order_id] = max(place, received.get(history.order_id, 0))
    assert stored_balances() == balances(histories, received)

    medusa.orders = {history.order_id: history.newest for history in histories}
    report = reconcile(get_medusa(), since=PLACED - timedelta(days=1))
    assert report.orders_seen == ORDERS
    behind = {history.order_id for history in histories if received.get(history.order_id) != len(history.facts) - 1}
    assert set(report.drifted) == behind
    drain_all()
    assert stored_balances() == balances(histories)
    assert audit() == []
    again = reconcile(get_medusa(), since=PLACED - timedelta(days=1))
    assert (again.orders_seen, again.drifted) == (ORDERS, [])
