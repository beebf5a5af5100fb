"""Claims, exchanges and drafts in the ledger: orders captured from a real Medusa, settled step by step."""

import copy
import json
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId
from bridge.inbox.process_batch import process_batch
from bridge.inbox.reconcile import reconcile
from bridge.ledger.queries import read_balance, read_transactions
from bridge.medusa.client import get_medusa
from bridge.settlement.repository import orders_with_unpaid_dust_only
from bridge.settlement.tables import order_settlement
from tests.support import tokens
from tests.support.deliveries import deliver
from tests.support.medusa import FakeMedusa
from tests.support.orders import PLACED, SAMPLES, iso, line, order, order_event
from tests.support.settling import set_rules, settle

pytestmark = pytest.mark.usefixtures("settings")

CAPTURED: dict[str, dict[str, Any]] = json.loads((SAMPLES / "orders_of_claims_and_exchanges.json").read_text())


def post(api: TestClient, *documents: dict[str, Any]) -> None:
    """Deliver each document as a webhook and process it before the next one."""
    for document in documents:
        deliver(api, order_event(document, "order.updated")).raise_for_status()
        process_batch()


def history(customer_id: str) -> list[tuple[str, int]]:
    with transaction() as connection:
        rows = read_transactions(connection, CustomerId(customer_id), limit=100, memos=True)
    return [(row.kind, row.amount) for row in reversed(rows)]


def balance(customer_id: str) -> int:
    with transaction() as connection:
        return read_balance(connection, CustomerId(customer_id)).balance


@pytest.mark.parametrize(
    ("story", "changes"),
    [
        (("exchange_same_before", "exchange_same_requested", "exchange_same_received"), [10]),
        (("exchange_dearer_requested", "exchange_dearer_received", "exchange_dearer_paid"), [10, 30]),
        (("exchange_cheaper_requested", "exchange_cheaper_received"), [40, -30]),
        (("exchange_uncaptured_requested", "exchange_uncaptured_received"), [10]),
        (("replacement_unreturned_requested", "replacement_unreturned_forgiven"), [20]),
        (("replacement_returned_requested", "replacement_returned_received"), [20]),
        (("claim_refund_requested", "claim_refund_refunded"), [20, -8]),
    ],
)
def test_an_exchange_posts_only_its_final_difference(
    api: TestClient, story: tuple[str, ...], changes: list[int]
) -> None:
    steps = [CAPTURED[step] for step in story]
    post(api, *steps)
    assert [amount for _, amount in history(steps[0]["customer_id"])] == changes


def payment_of(document: dict[str, Any], updated_at: str) -> dict[str, Any]:
    """A payment as the poll sees it, with the order it belongs to."""
    return {"id": "pay_1", "updated_at": updated_at, "payment_collection": {"order": {"id": document["id"]}}}


def test_a_payment_for_what_was_swapped_in_is_found_by_the_poll(api: TestClient, medusa: FakeMedusa) -> None:
    received, paid = CAPTURED["exchange_dearer_received"], CAPTURED["exchange_dearer_paid"]
    assert (received["version"], received["updated_at"]) == (paid["version"], paid["updated_at"]), "the order is silent"
    post(api, received)
    medusa.orders = {paid["id"]: paid}
    medusa.payments = {"pay_1": payment_of(paid, now().isoformat())}

    assert reconcile(get_medusa()).drifted == [paid["id"]]
    process_batch()
    assert balance(paid["customer_id"]) == 40
    assert reconcile(get_medusa()).drifted == []


def test_a_part_payment_found_by_the_poll_does_not_hide_the_next_one(api: TestClient, medusa: FakeMedusa) -> None:
    received, paid = CAPTURED["exchange_dearer_received"], CAPTURED["exchange_dearer_paid"]
    half = copy.deepcopy(paid)
    for name in ("transaction_total", "paid_total"):
        half["summary"][name] = paid["summary"][name] - 25
    half["payment_collections"][-1].update(authorized_amount=12.5, captured_amount=12.5)
    post(api, received)
    for document, expected in ((half, 20), (paid, 40)):
        medusa.orders = {paid["id"]: document}
        medusa.payments = {"pay_1": payment_of(paid, now().isoformat())}
        reconcile(get_medusa())
        process_batch()
        assert balance(paid["customer_id"]) == expected


def test_facts_from_before_a_payment_that_come_late_take_nothing_back(api: TestClient, medusa: FakeMedusa) -> None:
    received, paid = CAPTURED["exchange_dearer_received"], CAPTURED["exchange_dearer_paid"]
    post(api, received, paid, received)
    assert balance(paid["customer_id"]) == 40
    # The poll finds no difference afterwards.
    medusa.orders = {paid["id"]: paid}
    assert reconcile(get_medusa(), since=now() - timedelta(days=3650)).drifted == []


def test_the_poll_of_orders_detects_a_payment(api: TestClient, medusa: FakeMedusa) -> None:
    received, paid = CAPTURED["exchange_dearer_received"], CAPTURED["exchange_dearer_paid"]
    for document in (received, paid):
        medusa.orders = {paid["id"]: document}
        assert reconcile(get_medusa(), since=now() - timedelta(days=3650)).drifted == [paid["id"]]
        process_batch()
    assert balance(paid["customer_id"]) == 40


def drafted(**changes: Any) -> dict[str, Any]:
    return {**order("order_draft", **changes), "is_draft_order": True, "status": "draft"}


def test_a_draft_earns_once_it_is_an_order_and_by_the_rules_of_that_day(api: TestClient) -> None:
    post(api, drafted())
    assert history("cus_1") == []
    rules = api.get("/admin/dust/programme", headers=tokens.admin()).json()
    rules["earn"]["rates"]["eur"] = "3"
    api.put("/admin/dust/programme", json=rules, headers=tokens.admin()).raise_for_status()

    post(api, order("order_draft", version=2))

    assert history("cus_1") == [("earn", 30)]


def test_a_draft_is_not_reported_as_a_sale_without_the_checkout(api: TestClient) -> None:
    api.put("/admin/dust/products/prod_mug", json={"dust_only": True, "dust_price": 5}, headers=tokens.admin())
    mug = [line(product_id="prod_mug")]
    post(api, drafted(lines=mug))
    with transaction() as connection:
        assert orders_with_unpaid_dust_only(connection, limit=5) == []
    post(api, order("order_draft", lines=mug, version=2))
    with transaction() as connection:
        assert orders_with_unpaid_dust_only(connection, limit=5) == ["order_draft"]


def test_returned_items_are_not_reported_as_a_sale_without_the_checkout(api: TestClient) -> None:
    api.put("/admin/dust/products/prod_mug", json={"dust_only": True, "dust_price": 5}, headers=tokens.admin())
    for version, (returned, expected) in enumerate([(0, ["order_1"]), (1, ["order_1"]), (2, [])], start=1):
        post(api, order(lines=[line(product_id="prod_mug", quantity=2, returned=returned)], version=version))
        with transaction() as connection:
            assert orders_with_unpaid_dust_only(connection, limit=5) == expected


@pytest.mark.parametrize("draft", [False, True], ids=["an order edit", "a draft"])
def test_an_exchange_makes_no_order_paid_of_which_a_part_was_captured(draft: bool) -> None:
    """Half of 100.00 was captured. A line of 50.00, or all of a draft's, was added after the order was created."""
    set_rules(earn={"when": "payment.captured"})

    def bought(number: int, hours: float) -> dict[str, Any]:
        return line(f"ordli_{number}", price=50) | {"created_at": iso(PLACED + timedelta(hours=hours))}

    def paid(captured: int, *lines: dict[str, Any], version: int) -> dict[str, Any]:
        summary = {"paid_total": captured, "refunded_total": 0, "transaction_total": captured}
        collection = {"status": "completed", "amount": 100, "authorized_amount": 100, "captured_amount": captured}
        document = order(lines=list(lines), version=version) | {"summary": summary}
        return document | {"payment_collections": [collection]}

    first, second, swapped = bought(1, 0.5 if draft else 0), bought(2, 1), bought(3, 2)
    exchange = {"returns": [{"id": "return_1", "exchange_id": "oexc_1"}]}
    settle(paid(50, first, second, version=2))
    settle(paid(50, first, second, swapped, version=3) | exchange)
    assert balance("cus_1") == 0
    settle(paid(100, first, second, swapped, version=3) | exchange)
    assert balance("cus_1") == 100


def test_a_canceled_order_does_not_wait_for_a_payment(api: TestClient) -> None:
    document = {**CAPTURED["exchange_dearer_received"], "version": 6, "status": "canceled"}
    post(api, CAPTURED["exchange_dearer_received"], document)
    assert balance(document["customer_id"]) == 0
    with transaction() as connection:
        assert connection.scalars(select(order_settlement.c.awaits_payment)).all() == [False]
