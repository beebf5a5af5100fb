"""Guests' orders, whose points are in escrow, and customers who register."""

from typing import Any

from fastapi.testclient import TestClient

from bridge.clock import real_now
from bridge.db import transaction
from bridge.ids import OrderId
from bridge.inbox.process_batch import process_batch
from bridge.inbox.process_one import process_event
from bridge.settlement.escrow import Escrow, read_escrow
from tests.support.deliveries import deliver
from tests.support.medusa import FakeMedusa
from tests.support.orders import event, order

EMAIL = "Grace@Example.com"


def guest(order_id: str = "order_1", **more: Any) -> dict[str, Any]:
    return order(order_id, **{"customer_id": "cus_guest", "guest": True, "email": EMAIL, **more})


def escrow(order_id: str = "order_1") -> Escrow:
    with transaction() as connection:
        return read_escrow(connection, OrderId(order_id))


def register(api: TestClient, medusa: FakeMedusa, customer_id: str = "cus_1", email: str = EMAIL) -> None:
    """Add the account to Medusa, and deliver and process its webhook."""
    medusa.add_customer(customer_id, email, created=real_now())
    deliver_customer_event(api, "customer.created", customer_id)


def deliver_customer_event(api: TestClient, kind: str, customer_id: str) -> None:
    """Deliver and process a webhook about a customer."""
    deliver(api, event(kind, {"id": customer_id}))
    for event_id in process_batch().split_off:
        process_event(event_id)
