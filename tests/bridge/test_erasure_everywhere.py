"""After a person is erased, nothing that identifies them is left: in any column of any table, or in anything logged."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from bridge.clock import now
from bridge.db import transaction
from bridge.errors import DustError
from bridge.inbox.process_batch import process_batch
from bridge.inbox.process_one import process_event
from bridge.inbox.reconcile import reconcile
from bridge.medusa.client import get_medusa
from bridge.reports.liability import liability
from tests.support import tokens
from tests.support.deliveries import deliver
from tests.support.medusa import FakeMedusa
from tests.support.orders import PLACED, event, order, order_event
from workers.upkeep import erase_late_data

EMAIL = "Ada.Lovelace@Example.com"
ADDRESS = {
    "first_name": "Augusta",
    "last_name": "Lovelace-Byron",
    "phone": "+45 12 34 56 78",
    "address_1": "Nyhavn 71, 2. tv",
    "postal_code": "1051 K",
}
TRACES = ("ada.lovelace", "augusta", "lovelace-byron", "12 34 56 78", "nyhavn", "1051 k")


def hers(order_id: str, customer_id: str = "cus_1", **more: Any) -> dict[str, Any]:
    """An order with all personal data that a snapshot can contain."""
    document = order(order_id, customer_id=customer_id, email=EMAIL, **more)
    document["customer"] |= {**ADDRESS, "email": EMAIL}
    return {**document, "shipping_address": ADDRESS, "billing_address": ADDRESS, "metadata": {"note": f"For {EMAIL}"}}


def found_in() -> set[str]:
    """Every column that contains one of `TRACES`, as `table.column`."""
    columns = """
        SELECT table_name, column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND data_type IN ('text', 'json', 'jsonb', 'bytea', 'ARRAY', 'character varying')
    """
    columns_with_traces = set()
    with transaction() as connection:
        searched = connection.execute(text(columns)).all()
        assert len({table for table, _ in searched}) > 15
        for table, column in searched:
            for value in connection.scalars(text(f'SELECT "{column}" FROM "{table}" WHERE "{column}" IS NOT NULL')):
                plain = bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else json.dumps(value)
                if any(trace in plain.lower() for trace in TRACES):
                    columns_with_traces.add(f"{table}.{column}")
    return columns_with_traces


def hashes_left() -> int:
    with transaction() as connection:
        query = "SELECT (SELECT count(email_hash) FROM guest_escrow) + (SELECT count(*) FROM proved_email)"
        return int(connection.scalar(text(query)) or 0)


@pytest.fixture
def logged(api: TestClient) -> Iterator[io.StringIO]:
    (handler,) = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    buffer = io.StringIO()
    before = handler.setStream(buffer)
    yield buffer
    handler.setStream(before)


def work_off() -> None:
    for event_id in process_batch().split_off:
        with suppress(DustError):
            process_event(event_id)


def ask(api: TestClient, path: str, body: Any = None) -> Any:
    response = api.post(f"/admin/dust/customers/{path}", json=body, headers=tokens.admin())
    assert response.status_code == 200, response.text
    return response.json()


def live(api: TestClient, medusa: FakeMedusa) -> None:
    """A customer's history: orders, one as a guest, a merged account, and events in every state."""
    medusa.customers["cus_1"] = {"id": "cus_1", "email": EMAIL, "has_account": True, **ADDRESS}
    deliver(api, event("customer.created", {"id": "cus_1"}))
    deliver(api, order_event(hers("order_1")))
    deliver(api, order_event(hers("order_1", version=2, payment_status="captured"), "payment.captured"))
    deliver(api, order_event(hers("order_2", "cus_guest", guest=True)))
    deliver(api, order_event(hers("order_3", "cus_guest", guest=True)))
    deliver(api, order_event(hers("order_4", "cus_old")))
    # An ignored event; its body is stored too.
    deliver(api, order_event(hers("order_1"), "order.archived"))
    # It cannot be read, so it belongs to no settled order.
    deliver(api, order_event({**hers("order_5"), "items": [{"title": "?"}]}))
    medusa.orders["order_5"] = {**hers("order_5"), "items": "none"}
    work_off()
    deliver(api, order_event(hers("order_2", version=2), "order.updated"))
    medusa.orders |= {"order_1": hers("order_1", version=3), "order_6": hers("order_6", "cus_old")}
    reconcile(get_medusa(), since=PLACED - timedelta(days=1))
    work_off()
    ask(api, "cus_1/claim", {"email": EMAIL})
    ask(api, "cus_old/merge", {"into": "cus_1"})
    deliver(api, order_event(hers("order_7", "cus_guest", guest=True)))
    deliver(api, order_event(order("order_8", customer_id="cus_9", email="someone@else.example")))
    work_off()


def test_erasure_leaves_no_personal_data_in_any_column_and_the_ledger_unchanged(
    api: TestClient, medusa: FakeMedusa, logged: io.StringIO
) -> None:
    live(api, medusa)
    assert found_in() == {"webhook_event.payload"}
    assert hashes_left() == 2
    with transaction() as connection:
        before = liability(connection, now())
    assert (before.outstanding, before.escrow) == (60, 10)

    ask(api, "cus_1/erase")
    ask(api, "cus_guest/erase")

    assert (found_in(), hashes_left()) == (set(), 0)
    with transaction() as connection:
        after = liability(connection, now())
        others = connection.scalar(text("SELECT payload FROM webhook_event WHERE subject = 'order_8'"))
    assert {**vars(after), "at": None} == {**vars(before), "at": None}
    assert b"someone@else.example" in bytes(others)
    # Personal data of late events is deleted within a day, also that of her guest order.
    deliver(api, order_event(hers("order_4", "cus_old", version=4), "order.updated"))
    deliver(api, order_event(hers("order_7", "cus_guest", guest=True, version=4), "order.updated"))
    deliver(api, order_event(hers("order_9", "cus_guest", guest=True)))
    deliver(api, order_event(hers("order_1"), "order.archived"))
    work_off()
    assert found_in() == {"webhook_event.payload"}
    erase_late_data()
    assert (found_in(), hashes_left()) == (set(), 0)
    log = logged.getvalue().lower()
    assert "event_failed" in log
    assert [trace for trace in TRACES if trace in log] == []


def test_deleting_a_merged_account_erases_that_account_only(api: TestClient, medusa: FakeMedusa) -> None:
    deliver(api, order_event(hers("order_1")))
    deliver(api, order_event(order("order_2", customer_id="cus_old", email="other@example.com")))
    work_off()
    ask(api, "cus_old/merge", {"into": "cus_1"})
    deliver(api, event("customer.deleted", {"id": "cus_old"}))
    work_off()
    with transaction() as connection:
        rows = connection.execute(text("SELECT subject, convert_from(payload, 'UTF8') AS body FROM webhook_event"))
        bodies = {row.subject: row.body for row in rows}
    assert "other@example.com" not in bodies["order_2"]
    assert EMAIL in bodies["order_1"]
    response = api.get("/admin/dust/customers/cus_1", headers=tokens.admin())
    assert response.json()["balance"] == 20
