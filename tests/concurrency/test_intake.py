"""The same order webhook fifty times concurrently, over a real server: one earning."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import httpx
import psycopg
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from bridge.db import transaction
from bridge.ids import CustomerId
from bridge.inbox.process_batch import process_batch
from bridge.inbox.process_one import process_event
from bridge.ledger.queries import read_transactions
from tests.support.databases import waiting_for_locks
from tests.support.deliveries import deliver
from tests.support.orders import line, order, order_event
from tests.support.processes import eventually, serving_dust

pytestmark = pytest.mark.servers

AT_ONCE = 50
IDS = [f"msg_{number:02}" for number in range(AT_ONCE)]
BODY = order_event(order())


def deliver_at_once(url: str, event_ids: list[str]) -> list[tuple[int, str]]:
    """Send every delivery on its own connection at the same time. Returns the status and state of each response."""
    start = Barrier(len(event_ids))

    def deliver_one(event_id: str) -> tuple[int, str]:
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            client.get("/health/live")
            start.wait(60)
            response = deliver(client, BODY, event_id=event_id)
            return response.status_code, response.json()["status"]

    with ThreadPoolExecutor(len(event_ids)) as pool:
        return list(pool.map(deliver_one, event_ids))


def kept() -> list[str]:
    with transaction() as connection:
        return list(connection.scalars(text("SELECT id FROM webhook_event ORDER BY id")))


def history() -> list[tuple[str, int]]:
    with transaction() as connection:
        rows = read_transactions(connection, CustomerId("cus_1"), limit=100, memos=True)
    return [(row.kind, row.amount) for row in rows]


def test_one_id_fifty_times_is_accepted_once(settings: dict[str, str]) -> None:
    with serving_dust(settings) as url:
        answers = deliver_at_once(url, ["msg_1"] * AT_ONCE)
    assert sorted(answers) == [(200, "duplicate")] * (AT_ONCE - 1) + [(202, "accepted")]
    assert kept() == ["msg_1"]
    process_batch()
    assert history() == [("earn", 10)]


def test_fifty_ids_of_one_order_are_one_earning(settings: dict[str, str]) -> None:
    with serving_dust(settings) as url:
        answers = deliver_at_once(url, IDS)
    assert answers == [(202, "accepted")] * AT_ONCE
    assert kept() == IDS
    handle_at_once()
    assert history() == [("earn", 10)]


def test_fifty_ids_of_one_change_are_one_difference(api: TestClient, settings: dict[str, str]) -> None:
    deliver(api, BODY)
    process_batch()
    change = order_event(order(version=2, lines=[line(price=17)]), "order-edit.confirmed")
    for event_id in IDS:
        deliver(api, change, event_id=event_id)
    with psycopg.connect(settings["DUST_DATABASE_URL"]) as other, ThreadPoolExecutor(16) as workers:
        # Nobody gets past the account before all of them have come as far as they can: what one of them read of the
        # order too early would be old when the account is free.
        other.execute("SELECT FROM dust_balance FOR UPDATE")
        handled = workers.map(process_event, IDS)
        eventually(lambda: waiting_for_locks(settings["DUST_DATABASE_URL"]) >= 8)
        other.rollback()
        list(handled)
    assert history() == [("earn", 7), ("earn", 10)]


def handle_at_once() -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(process_event, IDS))
