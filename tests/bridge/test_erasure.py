"""Erasure of a customer's personal data. The ledger does not change."""

from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import text

from bridge.clock import now
from bridge.db import transaction
from bridge.inbox.process_batch import process_batch
from bridge.reports.liability import liability
from tests.support import tokens
from tests.support.deliveries import deliver
from tests.support.medusa import FakeMedusa
from tests.support.orders import event, order, order_event
from workers.upkeep import erase_late_data

EMAIL = "ada@example.com"


def order_of_ada(order_id: str = "order_1", **more: Any) -> dict[str, Any]:
    return {**order(order_id, **more), "email": EMAIL, "metadata": {"note": "Ada Lovelace"}}


def everything_in_the_database() -> str:
    with transaction() as connection:
        tables = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
        rows = []
        for table in tables:
            if table == "alembic_version":
                continue
            rows += [str(row) for row in connection.execute(text(f'SELECT t.*::text FROM "{table}" t'))]
        bodies = connection.scalars(text("SELECT convert_from(payload, 'UTF8') FROM webhook_event")).all()
    return "\n".join([*rows, *bodies])


def test_erasing_leaves_no_personal_data_and_the_same_liability(api: TestClient, medusa: FakeMedusa) -> None:
    deliver(api, order_event(order_of_ada()))
    deliver(api, order_event(order_of_ada("order_2")))
    process_batch()
    assert EMAIL in everything_in_the_database()
    with transaction() as connection:
        before = liability(connection, now())
    response = api.post("/admin/dust/customers/cus_1/erase", headers=tokens.admin())
    assert (response.status_code, response.json()["events_stripped"]) == (200, 2)
    left = everything_in_the_database()
    assert EMAIL not in left
    assert "Lovelace" not in left
    with transaction() as connection:
        after = liability(connection, now())
    assert (after.outstanding, after.movements) == (before.outstanding, before.movements)
    assert api.post("/admin/dust/customers/cus_1/erase", headers=tokens.admin()).json()["events_stripped"] == 0


def test_an_event_that_is_being_handled_is_not_waited_for_but_stripped_later(
    api: TestClient, medusa: FakeMedusa
) -> None:
    for number in (1, 2):
        deliver(api, order_event(order_of_ada(f"order_{number}")), event_id=f"msg_{number}")
    process_batch()
    with transaction() as connection:
        connection.execute(text("SELECT FROM webhook_event WHERE id = 'msg_1' FOR UPDATE"))
        response = api.post("/admin/dust/customers/cus_1/erase", headers=tokens.admin())
    assert (response.status_code, response.json()["events_stripped"]) == (200, 1)
    assert EMAIL in everything_in_the_database()
    assert erase_late_data() == 1
    assert EMAIL not in everything_in_the_database()


def test_what_comes_in_late_is_stripped_too(api: TestClient, medusa: FakeMedusa) -> None:
    deliver(api, order_event(order_of_ada()))
    deliver(api, event("customer.deleted", {"id": "cus_1"}))
    process_batch()
    deliver(api, order_event(order_of_ada(version=2), "order.updated"))
    process_batch()
    assert EMAIL in everything_in_the_database()
    assert erase_late_data() > 0
    assert EMAIL not in everything_in_the_database()


def test_a_stripped_event_can_still_be_retried(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.orders["order_1"] = order_of_ada()
    deliver(api, order_event(order_of_ada()), event_id="msg_1")
    with transaction() as connection:
        connection.execute(
            text("UPDATE webhook_event SET state = 'failed', reason = 'test', next_attempt_at = NULL")
        )  # fmt: skip
        connection.execute(text("INSERT INTO order_settlement (order_id, customer_id) VALUES ('order_1', 'cus_1')"))
    api.post("/admin/dust/customers/cus_1/erase", headers=tokens.admin())
    api.post("/admin/dust/events/msg_1/retry", headers=tokens.admin())
    from bridge.inbox.process_one import process_event

    process_event("msg_1")
    assert api.get("/admin/dust/customers/cus_1", headers=tokens.admin()).json()["balance"] == 10


def test_an_export_has_every_row_of_the_customer_and_of_no_other(api: TestClient, medusa: FakeMedusa) -> None:
    deliver(api, order_event(order_of_ada()))
    deliver(api, order_event(order("order_9", customer_id="cus_9")))
    process_batch()
    document = api.get("/admin/dust/customers/cus_1/export", headers=tokens.admin()).json()
    assert [row["amount"] for row in document["transactions"]] == [10]
    assert [row["order_id"] for row in document["orders"]] == ["order_1"]
    assert len(document["lots"]) == 1
    assert "cus_9" not in str(document)
