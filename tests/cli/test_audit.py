"""`dust audit --medusa`: compares a sample of settled orders with Medusa's, and changes nothing."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from bridge.db import transaction
from bridge.inbox.process_batch import process_batch
from tests.support.commands import Dust
from tests.support.deliveries import deliver
from tests.support.medusa import FakeMedusa
from tests.support.orders import line, order, order_event

ORDERS = 30


@pytest.fixture
def shop(api: TestClient, medusa: FakeMedusa) -> FakeMedusa:
    """Orders that agree with Medusa, except for three: two have other facts in Dust, and one is not in Medusa."""
    reported: list[dict[str, Any]] = [order(f"order_{number}") for number in range(ORDERS)]
    medusa.orders = {document["id"]: document for document in reported[3:]}
    medusa.orders["order_0"] = order("order_0", lines=[line(price=7)])
    medusa.orders["order_1"] = order("order_1", customer_id="cus_2")
    for document in reported:
        deliver(api, order_event(document))
    process_batch()
    return medusa


def rows() -> list[Any]:
    tables = ("order_settlement", "dust_balance", "dust_transaction", "dust_lot", "webhook_event")
    with transaction() as connection:
        return [connection.execute(text(f"SELECT * FROM {name} ORDER BY 1, 2")).all() for name in tables]


@pytest.mark.usefixtures("shop")
def test_orders_that_differ_from_medusa_are_named_with_how_they_differ(dust: Dust) -> None:
    before = rows()
    result = dust("audit", "--medusa", "--json")
    assert result.code == 1
    differences = {breach["subject"]: breach["detail"] for breach in result.json}
    assert {breach["check"] for breach in result.json} == {"orders_are_as_medusa_has_them"}
    assert differences.keys() == {"order_0", "order_1", "order_2"}
    assert differences["order_0"] == "points 10, Medusa's order gives 7"
    assert "customer cus_1, Medusa's order gives cus_2" in differences["order_1"]
    assert differences["order_2"] == "Medusa does not have the order"
    assert rows() == before, "it only looks"
    assert "order_1" in dust("audit", "--medusa").out
    assert dust("audit", "--json").json == []


def test_a_smaller_sample_asks_for_fewer_orders(dust: Dust, shop: FakeMedusa) -> None:
    shop.calls.clear()
    result = dust("audit", "--medusa", "--sample", 5, "--json")
    assert {breach["check"] for breach in result.json} <= {"orders_are_as_medusa_has_them"}
    assert shop.calls.count(("GET", "/admin/orders")) == 1
    assert len([call for call in shop.calls if call[1].startswith("/admin/orders/")]) <= 1
    assert dust("audit", "--medusa", "--sample", 0).code == 2


def test_it_is_clean_where_nothing_differs_and_names_what_it_checked(
    dust: Dust, api: TestClient, medusa: FakeMedusa
) -> None:
    medusa.orders["order_1"] = order()
    deliver(api, order_event(order()))
    process_batch()
    result = dust("audit", "--medusa")
    assert result.code == 0
    assert "✓ orders are as medusa has them" in result.out


def test_medusa_away_is_said_in_plain_words(dust: Dust, api: TestClient, medusa: FakeMedusa) -> None:
    medusa.away = True
    deliver(api, order_event(order()))
    process_batch()
    result = dust("audit", "--medusa")
    assert result.code == 1
    assert "Medusa answered 503" in result.err
