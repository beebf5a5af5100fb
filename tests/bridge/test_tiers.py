"""Tiers, settled: an order keeps the tier that its customer had when it was first settled."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId
from bridge.reports.explain import explain
from tests.support import tokens
from tests.support.medusa import FakeMedusa
from tests.support.orders import line, order
from tests.support.settling import balance, set_rules, settle

pytestmark = pytest.mark.usefixtures("settings")

LEVELS = [{"name": "silver", "from": 100, "factor": "1.5"}, {"name": "gold", "from": 400, "factor": "2"}]


def tiers(**more: Any) -> None:
    set_rules(tiers={"window_days": 30, "levels": LEVELS, **more})


def bought(number: int, price: int, *, days_ago: float = 0, **more: Any) -> dict[str, Any]:
    placed = now() - timedelta(days=days_ago) + timedelta(minutes=number - 10)
    return order(f"order_{number}", placed=placed, lines=[line(f"l{number}", price=price)], **more)


def tier(api: TestClient) -> Any:
    return api.get("/store/dust/balance", headers=tokens.customer()).json()["tier"]


def test_the_next_order_earns_by_the_tier_that_was_reached() -> None:
    tiers()
    settle(bought(1, 100))
    settle(bought(2, 100))
    assert balance().balance == 100 + 150
    # In one batch as well: 250, 400 after the third, so the fourth is gold's.
    settle(bought(3, 100), bought(4, 100))
    assert balance().balance == 250 + 150 + 200


def test_an_order_keeps_its_tier_when_the_customers_tier_changes() -> None:
    tiers()
    settle(bought(1, 100))
    placed = now()
    settle(order("order_2", placed=placed, lines=[line(quantity=2)]))
    settle(bought(1, 100, version=2, status="canceled"))
    assert balance().balance == 30
    settle(order("order_2", placed=placed, version=2, lines=[line(quantity=2, returned=1)]))
    assert balance().balance == 15
    settle(bought(3, 10))
    assert balance().balance == 25


def test_an_order_outside_the_window_does_not_count() -> None:
    tiers()
    settle(bought(1, 100, days_ago=31))
    settle(bought(2, 10))
    assert balance().balance == 110


@pytest.mark.parametrize("rules", [{}, {"basis": "spent", "currency_code": "eur"}])
@pytest.mark.parametrize("batch", [False, True])
def test_an_order_that_is_transferred_counts_for_the_tier_of_one_account_only(
    api: TestClient, rules: dict[str, Any], batch: bool
) -> None:
    """The attack: one large order makes four accounts gold, and each orders with the factor."""
    tiers(**rules)
    documents = []
    for number, customer_id in enumerate(("cus_1", "cus_2", "cus_3", "cus_1"), start=1):
        documents += [
            bought(1, 400, version=number, customer_id=customer_id),
            bought(number + 1, 10, customer_id=customer_id),
        ]
    if batch:
        settle(*documents)
    else:
        for document in documents:
            settle(document)
    assert (balance("cus_1").balance, balance("cus_2").balance, balance("cus_3").balance) == (400 + 20 + 20, 10, 10)
    settle(bought(1, 400, version=9, customer_id="cus_2"))
    assert tier(api)["name"] == "gold"
    members = api.get("/admin/dust/customers", params={"tier": "gold"}, headers=tokens.admin()).json()["customers"]
    assert [member["customer_id"] for member in members] == ["cus_1"]


def test_money_spent_can_count_and_only_of_one_currency() -> None:
    set_rules(
        earn={"rates": {"eur": "1", "usd": "1"}},
        tiers={"basis": "spent", "currency_code": "eur", "window_days": 30, "levels": LEVELS},
    )
    settle(bought(1, 300, currency_code="usd"))
    settle(bought(2, 100))
    settle(bought(3, 100))
    assert balance().balance == 300 + 100 + 150


def test_money_that_an_edit_added_counts_once_it_is_paid(api: TestClient) -> None:
    set_rules(
        earn={"when": "payment.captured"},
        tiers={"basis": "spent", "currency_code": "eur", "window_days": 30, "levels": LEVELS},
    )

    def of(price: int, paid: int, version: int) -> dict[str, Any]:
        summary = {"paid_total": paid, "refunded_total": 0, "transaction_total": paid}
        return bought(1, price, version=version) | {"summary": summary, "payment_collections": []}

    settle(of(100, 100, 1))
    assert tier(api)["name"] == "silver"
    settle(of(400, 100, 2))
    assert (tier(api)["name"], tier(api)["progress"]) == ("silver", "100.00")
    settle(of(400, 400, 2))
    assert tier(api)["name"] == "gold"


def test_a_shopper_sees_the_tier_and_what_is_missing(api: TestClient) -> None:
    assert tier(api) is None
    tiers()
    assert tier(api) == {
        "name": None, "factor": "1", "from": None, "progress": "0", "until": None, "basis": "earned",
        "currency_code": None, "next": {"name": "silver", "from": "100", "missing": "100"},
    }  # fmt: skip
    settle(bought(1, 120, days_ago=10))
    shown = tier(api)
    assert (shown["name"], shown["factor"], shown["next"]) == (
        "silver",
        "1.5",
        {"name": "gold", "from": "400", "missing": "280"},
    )
    assert shown["until"].startswith(f"{now() - timedelta(minutes=9) + timedelta(days=20):%Y-%m-%dT%H:%M}")
    as_admin = api.get("/admin/dust/customers/cus_1", headers=tokens.admin()).json()["tier"]
    assert as_admin == shown


def test_a_quote_knows_the_tier(api: TestClient, medusa: FakeMedusa) -> None:
    tiers()
    settle(bought(1, 100))
    response = api.post("/store/dust/quote", json={"amount": 10, "currency_code": "eur"}, headers=tokens.customer())
    assert response.json()["earn"] == 15


def test_an_explanation_names_the_tier() -> None:
    tiers()
    settle(bought(1, 100))
    settle(bought(2, 10))
    with transaction() as connection:
        explanation = explain(connection, CustomerId("cus_1"))
    assert "(rules version 1: 1 for each eur; tier silver, factor 1.5)" in explanation.steps[1].sentence
    assert "You are silver: new orders earn 1.5 times as much" in explanation.summary[1]
    assert explanation.summary[2] == "285 points more earned within 30 days make you gold."


def test_a_guests_order_has_no_tier_and_adds_to_none() -> None:
    tiers()
    settle(bought(1, 500, guest=True))
    settle(bought(2, 100, guest=True))
    with transaction() as connection:
        rows = connection.exec_driver_sql("SELECT tier, spent FROM order_settlement").all()
    assert [tuple(row) for row in rows] == [(None, 0), (None, 0)]


def test_an_order_whose_rules_a_backfill_has_pinned_meets_their_tiers() -> None:
    tiers()
    settle(bought(1, 100))
    set_rules()
    with transaction() as connection:
        connection.exec_driver_sql("INSERT INTO order_settlement (order_id, programme_version) VALUES ('order_2', 1)")
    settle(bought(2, 10), bought(3, 10))
    assert balance().balance == 100 + 15 + 10
