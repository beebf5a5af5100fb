"""What the pages in Medusa's dashboard use: the person that the plugin names, an overview, and errors by field."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId, new_id
from bridge.ledger.queries import read_transactions
from bridge.medusa.orders import read_order
from bridge.settlement.settle import settle_orders
from tests.support import tokens
from tests.support.orders import line, order


def adjust(api: TestClient, amount: int, **headers: str) -> dict[str, Any]:
    headers = {**tokens.admin(), "Idempotency-Key": new_id("key"), **headers}
    response = api.post(
        "/admin/dust/customers/cus_1/adjustments", json={"amount": amount, "reason": "r"}, headers=headers
    )
    assert response.status_code == 201, response.text
    return dict(response.json())


def actor_of_newest() -> str:
    with transaction() as connection:
        return str(read_transactions(connection, CustomerId("cus_1"), limit=1, memos=False)[0].actor)


def test_the_ledger_has_the_operator_that_the_service_names(api: TestClient) -> None:
    adjust(api, 5)
    assert actor_of_newest() == "service"

    adjust(api, 5, **{"X-Dust-Operator": "user_01ADA"})
    assert actor_of_newest() == "user_01ADA"


def test_a_customer_whom_the_service_names_is_that_customer(api: TestClient) -> None:
    adjust(api, 30)

    response = api.get("/store/dust", headers={**tokens.admin(), "X-Dust-Customer": "cus_1"})

    assert response.json() == {"points": 30}


@pytest.mark.parametrize("named", [{}, {"X-Dust-Customer": ""}, {"X-Dust-Customer": "two words"}])
def test_the_service_alone_is_no_customer(api: TestClient, named: dict[str, str]) -> None:
    assert api.get("/store/dust", headers={**tokens.admin(), **named}).status_code == 401


def test_headers_with_names_are_ignored_without_the_service_token(api: TestClient) -> None:
    adjust(api, 30)
    names = {"X-Dust-Customer": "cus_1", "X-Dust-Operator": "user_01ADA"}

    assert api.get("/store/dust", headers=names).status_code == 401
    assert api.get("/store/dust", headers={**tokens.customer("cus_2"), **names}).json() == {"points": 0}
    user = tokens.customer("user_01BOB", actor_type="user")
    api.post(
        "/admin/dust/customers/cus_1/adjustments",
        json={"amount": 1, "reason": "r"},
        headers={**user, **names, "Idempotency-Key": new_id("key")},
    ).raise_for_status()
    assert actor_of_newest() == "user_01BOB"


def test_the_overview_adds_up_all_customers(api: TestClient) -> None:
    empty = api.get("/admin/dust/overview", headers=tokens.admin()).json()
    adjust(api, 30)

    seen = api.get("/admin/dust/overview", headers=tokens.admin()).json()

    assert (empty["customers"], empty["outstanding"]) == (0, 0)
    assert (seen["customers"], seen["outstanding"], seen["held"], seen["pending"]) == (1, 30, 0, 0)
    assert (seen["expiring"], seen["open_redemptions"], seen["failed_events"], seen["waiting_events"]) == (0, 0, 0, 0)


def test_an_order_past_the_checkout_with_an_unpaid_dust_only_product_is_shown(api: TestClient) -> None:
    def unpaid() -> list[str]:
        return list(api.get("/admin/dust/overview", headers=tokens.admin()).json()["unpaid_orders"])

    price = {"dust_only": True, "dust_price": 10}
    api.put("/admin/dust/products/prod_mug", json=price, headers=tokens.admin()).raise_for_status()
    drafted = order(new_id("order"), lines=[line(product_id="prod_mug")])
    with transaction() as connection:
        settle_orders(connection, [read_order(drafted), read_order(order(new_id("order")))], now=now())
    assert unpaid() == [drafted["id"]]

    later = order(drafted["id"], lines=[line(product_id="prod_mug")], version=2, status="canceled")
    with transaction() as connection:
        settle_orders(connection, [read_order(later)], now=now())
    assert unpaid() == []


def test_a_dust_only_product_without_a_price_is_refused_at_the_price(api: TestClient) -> None:
    response = api.put("/admin/dust/products/prod_1", json={"dust_only": True}, headers=tokens.admin())

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["dust_price"]
