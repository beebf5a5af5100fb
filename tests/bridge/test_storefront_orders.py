"""The points of a shopper's orders over the Store API: order numbers, pending points, and single orders."""

import re
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from bridge.clock import now
from bridge.db import transaction
from tests.support import tokens
from tests.support.clock import moved
from tests.support.ledger import give, post_due
from tests.support.medusa import FakeMedusa
from tests.support.orders import line, order
from tests.support.settling import set_rules, settle
from tests.support.store_api import FIVE_EUR, redeemed

PENDING_FOR_A_WEEK = {"rates": {"eur": "1"}, "pending_days": 7, "expires_after_days": 365}


def numbered(number: int, *, price: float = 10, **more: Any) -> dict[str, Any]:
    """An order with this number, for `price` euros."""
    how = {"placed": now(), "lines": [line(price=price)], **more}
    return order(f"order_{number}", **how) | {"display_id": number}


def order_number(order_id: str) -> str | None:
    with transaction() as connection:
        query = text("SELECT order_number FROM order_settlement WHERE order_id = :id")
        number: str | None = connection.execute(query, {"id": order_id}).scalar_one()
    return number


def transactions(api: TestClient, *, limit: int = 20) -> list[dict[str, Any]]:
    """All transactions of all pages, newest first."""
    listed: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        response = api.get("/store/dust/transactions", params={"limit": limit, **cursor}, headers=tokens.customer())
        assert response.status_code == 200, response.text
        assert response.headers["cache-control"] == "private, no-store"
        listed += response.json()["transactions"]
        if response.json()["next_cursor"] is None:
            return listed
        cursor = {"cursor": response.json()["next_cursor"]}


def order_points(api: TestClient, order_id: str, customer_id: str = "cus_1") -> dict[str, Any]:
    response = api.get(f"/store/dust/orders/{order_id}", headers=tokens.customer(customer_id))
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def test_the_number_of_an_order_is_stored_and_kept(api: TestClient) -> None:
    settle(numbered(4711))
    assert order_number("order_4711") == "4711"
    later = numbered(4711, version=2)
    del later["display_id"]  # a snapshot of an older sender
    settle(later)
    assert order_number("order_4711") == "4711"


def test_pending_points_are_listed_until_they_are_booked(api: TestClient) -> None:
    set_rules(earn=PENDING_FOR_A_WEEK)
    placed = now()
    settle(numbered(7, price=30))
    [row] = transactions(api)
    assert (row["state"], row["amount"], row["type"], row["kind"]) == ("pending", 30, "credit", "earn")
    assert (row["reference_id"], row["order_number"]) == ("order_7", "7")
    assert row["matures_at"] == (placed + timedelta(days=7)).isoformat().replace("+00:00", "Z")
    assert row["expires_at"] is not None
    with moved(timedelta(days=8)):
        post_due()
        [booked] = transactions(api)
    assert (booked["state"], booked["amount"], booked["kind"]) == ("booked", 30, "mature")
    assert (booked["matures_at"], booked["expires_at"]) == (None, row["expires_at"])
    assert booked["order_number"] == "7"


def test_points_that_wait_for_the_payment_have_no_date(api: TestClient) -> None:
    set_rules(earn={"rates": {"eur": "1"}, "pending_until_paid": True})
    settle(numbered(7))
    [row] = transactions(api)
    assert (row["state"], row["amount"], row["matures_at"]) == ("pending", 10, None)


def test_a_return_makes_a_pending_entry_smaller(api: TestClient) -> None:
    set_rules(earn=PENDING_FOR_A_WEEK)
    settle(numbered(7, price=30))
    settle(numbered(7, version=2, lines=[line(quantity=3, returned=1)]))
    [row] = transactions(api)
    assert (row["state"], row["amount"]) == ("pending", 20)


def test_booked_and_pending_entries_add_up_to_the_balance(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(earn=PENDING_FOR_A_WEEK)
    settle(*(numbered(number, price=number) for number in range(1, 6)))
    with moved(timedelta(days=10)):
        post_due()
        give(700)
        redeemed(api, FIVE_EUR)
        settle(numbered(8, price=30), numbered(9, price=4))
        settle(numbered(2, version=2, status="canceled", placed=now() - timedelta(days=10)))
        balance = api.get("/store/dust/balance", headers=tokens.customer()).json()
        rows = transactions(api)
    sums = {state: sum(r["amount"] for r in rows if r["state"] == state) for state in ("booked", "pending")}
    assert sums == {"booked": balance["balance"], "pending": balance["pending"]}
    assert sums["pending"] == 34


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_show_each_entry_once(api: TestClient, limit: int) -> None:
    set_rules(earn=PENDING_FOR_A_WEEK)
    give(5)
    settle(numbered(1))
    give(6)
    settle(numbered(2), numbered(3))
    give(7)
    rows = transactions(api, limit=limit)
    assert [(row["state"], row["amount"]) for row in rows] == [
        ("booked", 7),
        ("pending", 10),
        ("pending", 10),
        ("booked", 6),
        ("pending", 10),
        ("booked", 5),
    ]


def test_a_page_skips_nothing_when_points_mature_between_two_pages(api: TestClient) -> None:
    set_rules(earn=PENDING_FOR_A_WEEK)
    give(5)
    settle(numbered(1))
    give(6)
    first = api.get("/store/dust/transactions?limit=2", headers=tokens.customer()).json()
    assert [row["amount"] for row in first["transactions"]] == [6, 10]
    with moved(timedelta(days=8)):
        post_due()
        params = {"limit": 2, "cursor": first["next_cursor"]}
        second = api.get("/store/dust/transactions", params=params, headers=tokens.customer()).json()
    assert [row["amount"] for row in second["transactions"]] == [5]


def test_a_cursor_of_another_list_is_refused(api: TestClient) -> None:
    give(5)
    give(6)
    path = "/admin/dust/customers/cus_1/transactions?limit=1"
    cursor = api.get(path, headers=tokens.admin()).json()["next_cursor"]
    response = api.get("/store/dust/transactions", params={"cursor": cursor}, headers=tokens.customer())
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "cursor")


def test_a_spend_names_its_order_by_number(api: TestClient, medusa: FakeMedusa) -> None:
    give(800)
    code = redeemed(api, FIVE_EUR)["code"]
    settle(numbered(12, lines=[line(price=20, discount=5, code=code)]))
    spent = next(row for row in transactions(api) if row["kind"] == "redeem")
    assert (spent["amount"], spent["order_number"]) == (-500, "12")
    assert spent["description"] == "Points spent on an order (order 12)"


def test_an_internal_reason_is_not_shown(api: TestClient) -> None:
    give(5)
    [row] = transactions(api)
    assert row["reference_id"] == row["id"]


def test_an_order_shows_what_it_earned(api: TestClient) -> None:
    set_rules(earn=PENDING_FOR_A_WEEK)
    placed = now()
    settle(numbered(7, price=30))
    shown = order_points(api, "order_7")
    matures_at = (placed + timedelta(days=7)).isoformat().replace("+00:00", "Z")
    assert shown == {
        "order_id": "order_7",
        "order_number": "7",
        "state": "pending",
        "earned": 30,
        "breakdown": [{"rule": "rate", "dust": 30}],
        "pending": 30,
        "matures_at": matures_at,
        "taken_back": 0,
        "spent": 0,
        "spent_on_lines": [],
        "given_back": 0,
        "placed_at": placed.isoformat().replace("+00:00", "Z"),
    }
    with moved(timedelta(days=8)):
        post_due()
        shown = order_points(api, "order_7")
    assert (shown["state"], shown["earned"], shown["pending"], shown["matures_at"]) == ("booked", 30, 0, None)


def test_an_order_that_earns_later_is_pending(api: TestClient) -> None:
    set_rules(earn={"rates": {"eur": "1"}, "when": "order.completed"})
    settle(numbered(7))
    shown = order_points(api, "order_7")
    assert (shown["state"], shown["earned"]) == ("pending", 0)
    settle(numbered(7, version=2, status="canceled"))
    assert order_points(api, "order_7")["state"] == "booked"


def test_an_order_shows_what_was_spent_on_it_and_given_back(api: TestClient, medusa: FakeMedusa) -> None:
    give(800)
    code = redeemed(api, FIVE_EUR)["code"]
    settle(numbered(12, lines=[line(price=20, discount=5, code=code)]))
    shown = order_points(api, "order_12")
    assert (shown["earned"], shown["spent"], shown["given_back"]) == (15, 500, 0)
    settle(numbered(12, version=2, status="canceled", lines=[line(price=20, discount=5, code=code)]))
    shown = order_points(api, "order_12")
    assert (shown["earned"], shown["taken_back"], shown["spent"], shown["given_back"]) == (0, 15, 500, 500)
    assert shown["state"] == "booked"


def rules_of(api: TestClient, order_id: str) -> dict[str, int]:
    shown = order_points(api, order_id)
    rules = {part["rule"]: part["dust"] for part in shown["breakdown"]}
    assert sum(rules.values()) == (shown["earned"] if rules else 0)
    return rules


def test_an_order_shows_by_which_rules_it_earned(api: TestClient) -> None:
    set_rules(
        earn={
            "rates": {"eur": "1"},
            "basis": {"include_shipping": True},
            "multipliers": [{"name": "sale", "factor": "3", "category_ids": ["pcat_sale"]}],
            "limits": {"per_day": 100},
        },
        tiers={"basis": "earned", "levels": [{"name": "gold", "from": "0", "factor": "2"}]},
    )
    lines = [line("ordli_1", price=10, categories=("pcat_sale",), quantity=2), line("ordli_2", price=5)]
    settle(order("order_7", lines=lines, shipping=4, placed=now()))
    assert rules_of(api, "order_7") == {"rate": 25, "sale": 40, "shipping": 4, "gold": 69, "limit": -38}
    returned = [line("ordli_1", price=10, categories=("pcat_sale",), quantity=2, returned=2), lines[1]]
    settle(order("order_7", lines=returned, shipping=4, placed=now(), version=2))
    assert rules_of(api, "order_7") == {"rate": 5, "shipping": 4, "gold": 9}


def test_points_that_no_rule_gives_have_no_rules(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(earn={"rates": {"eur": "1"}}, reversal={"negative_balance": "within_balance"})
    settle(numbered(7, price=1000))
    code = redeemed(api, FIVE_EUR)["code"]
    settle(numbered(8, lines=[line(price=20, discount=5, code=code)]))
    settle(numbered(7, version=2, status="canceled", lines=[line(price=1000)]))
    # All but the points that were spent could be taken back.
    assert order_points(api, "order_7")["earned"] == 500 - 15
    assert rules_of(api, "order_7") == {}


def test_points_that_expired_before_a_return_were_not_earned_by_it(api: TestClient) -> None:
    set_rules(earn={"rates": {"eur": "1"}, "expires_after_days": 30})
    placed = now()
    settle(numbered(7, price=10))
    with moved(timedelta(days=40)):
        post_due()
        assert order_points(api, "order_7")["earned"] == 10
        settle(numbered(7, price=4, version=2, placed=placed))
        shown = order_points(api, "order_7")
        assert (shown["earned"], shown["taken_back"]) == (4, 0)
        assert rules_of(api, "order_7") == {"rate": 4}
        settle(numbered(7, price=4, version=3, placed=placed, status="canceled"))
        shown = order_points(api, "order_7")
        assert (shown["earned"], shown["taken_back"]) == (0, 0)
        assert rules_of(api, "order_7") == {}


def test_an_order_shows_which_lines_points_paid(api: TestClient, medusa: FakeMedusa) -> None:
    give(1500)
    medusa.add_product("prod_mug", 15)
    api.put("/admin/dust/products/prod_mug", json={"dust_only": True, "dust_price": 300}, headers=tokens.admin())
    code = redeemed(api, {"items": [{"product_id": "prod_mug", "quantity": 3}]})["code"]
    mug = {"product_id": "prod_mug", "price": 15, "code": code}
    settle(numbered(12, lines=[line("ordli_1", price=20), line("ordli_2", quantity=2, discount=30, **mug)]))
    paid = [{"line_item_id": "ordli_2", "dust": 600}]
    shown = order_points(api, "order_12")
    assert (shown["spent"], shown["spent_on_lines"]) == (600, paid)
    returned = line("ordli_2", quantity=2, returned=1, discount=30, **mug)
    settle(numbered(12, version=2, lines=[line("ordli_1", price=20), returned]))
    shown = order_points(api, "order_12")
    assert (shown["spent"], shown["given_back"], shown["spent_on_lines"]) == (600, 300, paid)


def test_several_orders_are_read_at_once(api: TestClient) -> None:
    settle(numbered(7), numbered(8, placed=now() - timedelta(days=1)), numbered(9, customer_id="cus_2"))

    def ask(*numbers: int) -> httpx.Response:
        params = {"order_id": [f"order_{number}" for number in numbers]}
        return api.get("/store/dust/orders", params=params, headers=tokens.customer())

    response = ask(8, 7, 9, 10)
    assert response.json()["orders"] == [order_points(api, "order_7"), order_points(api, "order_8")]
    assert response.headers["cache-control"] == "private, no-store"
    assert (ask().status_code, ask(*range(51)).status_code) == (422, 422)


def test_an_order_of_another_customer_is_not_found(api: TestClient) -> None:
    settle(numbered(7, customer_id="cus_2"))
    for order_id in ("order_7", "order_8"):
        response = api.get(f"/store/dust/orders/{order_id}", headers=tokens.customer())
        assert (response.status_code, response.json()["code"]) == (404, "order_not_found")
    assert api.get("/store/dust/orders/order_7").status_code == 401


def test_a_transferred_order_belongs_to_its_new_owner(api: TestClient) -> None:
    settle(numbered(7))
    settle(numbered(7, customer_id="cus_2", version=2))
    assert order_points(api, "order_7", "cus_2")["earned"] == 10
    assert api.get("/store/dust/orders/order_7", headers=tokens.customer()).status_code == 404


def test_a_claimed_order_of_a_guest_is_the_customers(api: TestClient) -> None:
    settle(numbered(7, guest=True, customer_id="cus_guest", email="ann@example.com"))
    claim = {"email": "ann@example.com"}
    api.post("/admin/dust/customers/cus_1/claim", json=claim, headers=tokens.admin())
    assert order_points(api, "order_7")["earned"] == 10


def test_an_order_takes_no_query(api: TestClient) -> None:
    settle(numbered(7))
    response = api.get("/store/dust/orders/order_7?fields=id", headers=tokens.customer())
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "fields")
    response = api.get("/store/dust/orders/order_7", headers=tokens.customer())
    assert response.headers["cache-control"] == "private, no-store"


def admin_order(api: TestClient, order_id: str) -> dict[str, Any]:
    response = api.get(f"/admin/dust/orders/{order_id}", headers=tokens.admin())
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def test_a_merchant_sees_what_an_order_did_and_why(api: TestClient, medusa: FakeMedusa) -> None:
    give(800)
    code = redeemed(api, FIVE_EUR)["code"]
    settle(numbered(11, price=30), numbered(12, lines=[line(price=20, discount=5, code=code)]))
    settle(numbered(12, version=2, status="canceled", lines=[line(price=20, discount=5, code=code)]))

    shown = admin_order(api, "order_12")

    own = order_points(api, "order_12")
    assert {key: shown[key] for key in own} == own
    assert (shown["customer_id"], shown["escrow"]) == ("cus_1", 0)
    words = [re.sub(r"^[^:]*: | Balance .*$", "", sentence) for sentence in shown["explanation"]]
    assert words[0].startswith("15 points earned with order #12")
    assert len(words) == 4
    spent_for = f"5.00 EUR off, redeemed on {now():%d %b %Y}."
    assert f"500 points spent on order #12 for {spent_for}" in words
    given_back = "500 points given back after a change of order #12, with the old expiry dates."
    assert f"{given_back[:-1]}; spent for {spent_for}" in words
    assert any(sentence.startswith("15 points taken back for order #12") for sentence in words)
    assert [step["sentence"] for step in shown["steps"]] == shown["explanation"]
    assert {step["order_number"] for step in shown["steps"]} == {"12"}
    assert shown["guest_escrow"] is None


def test_a_merchants_history_has_the_numbers_of_orders(api: TestClient, medusa: FakeMedusa) -> None:
    give(800)
    code = redeemed(api, FIVE_EUR)["code"]
    settle(numbered(11, lines=[line(price=20, discount=5, code=code)]))
    answer = api.get("/admin/dust/customers/cus_1/transactions", headers=tokens.admin()).json()
    given, *of_order = reversed(answer["transactions"])
    assert (given["order_id"], given["order_number"]) == (None, None)
    assert {(entry["kind"], entry["order_id"], entry["order_number"]) for entry in of_order} == {
        ("redeem", "order_11", "11"),
        ("earn", "order_11", "11"),
    }
    assert all("order_11" not in entry["description"] for entry in of_order)


def test_a_merchant_sees_what_a_guest_can_claim(api: TestClient) -> None:
    settle(numbered(7, guest=True, customer_id="cus_guest", email="ann@example.com"))
    shown = admin_order(api, "order_7")
    assert (shown["customer_id"], shown["earned"], shown["escrow"]) == ("cus_guest", 0, 10)
    assert "10 points of order #7 put into escrow" in shown["explanation"][0]
    escrow = shown["guest_escrow"]
    assert escrow["state"] == "waiting"
    assert [(entry["kind"], entry["amount"]) for entry in escrow["entries"]] == [("escrowed", 10)]
    api.post("/admin/dust/customers/cus_1/claim", json={"email": "ann@example.com"}, headers=tokens.admin())
    shown = admin_order(api, "order_7")
    assert (shown["customer_id"], shown["earned"], shown["escrow"]) == ("cus_1", 10, 0)
    assert "10 points earned with order #7" in shown["explanation"][-1]


def test_a_merchant_sees_both_owners_of_a_transferred_order(api: TestClient) -> None:
    settle(numbered(7))
    settle(numbered(7, customer_id="cus_2", version=2))
    shown = admin_order(api, "order_7")
    assert (shown["customer_id"], shown["earned"]) == ("cus_2", 10)
    assert "10 points earned" in shown["explanation"][0]
    assert "10 points went with order #7" in shown["explanation"][1]
    assert "10 points came with order #7" in shown["explanation"][2]
    assert [step["amount"] for step in shown["steps"]] == [10, -10, 10]


def test_a_merchant_sees_why_an_order_earns_nothing(api: TestClient) -> None:
    settle(numbered(7) | {"currency_code": "usd"})
    shown = admin_order(api, "order_7")
    assert shown["earned"] == 0
    assert "usd" in shown["note"].lower()


def test_an_order_that_dust_does_not_have_is_not_found(api: TestClient) -> None:
    response = api.get("/admin/dust/orders/order_8", headers=tokens.admin())
    assert (response.status_code, response.json()["code"]) == (404, "order_not_settled")
    settle(numbered(8))
    assert api.get("/admin/dust/orders/order_8", headers=tokens.customer()).status_code == 401
