"""What a shopper sees of their orders' points: order numbers, pending points, and one order at a time."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from bridge.db import transaction
from bridge.inbox.process_batch import process_batch
from tests.support.deliveries import deliver
from tests.support.orders import order, order_event

pytestmark = pytest.mark.usefixtures("medusa")


def receive(api: TestClient, document: dict[str, Any], event_id: str) -> None:
    deliver(api, order_event(document), event_id=event_id)
    process_batch()


def order_number(order_id: str = "order_1") -> str | None:
    with transaction() as connection:
        query = text("SELECT order_number FROM order_settlement WHERE order_id = :id")
        return connection.execute(query, {"id": order_id}).scalar_one()


def test_the_number_of_an_order_is_stored_and_kept(api: TestClient) -> None:
    receive(api, order() | {"display_id": 4711}, "msg_1")
    assert order_number() == "4711"
    later = order(version=2)
    del later["display_id"]  # a snapshot of an older sender
    receive(api, later, "msg_2")
    assert order_number() == "4711"
