"""Reads of a storefront beside the balance: the public programme, pending points, tier progress, filters."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from bridge.clock import now
from tests.support import tokens
from tests.support.medusa import FakeMedusa, cart_line
from tests.support.orders import line, order
from tests.support.settling import set_rules, settle

PROGRAMME = "/admin/dust/programme"


def balance_of(api: TestClient) -> dict[str, Any]:
    answer: dict[str, Any] = api.get("/store/dust/balance", headers=tokens.customer()).json()
    return answer


def test_the_public_programme_has_what_a_shopper_may_know(api: TestClient) -> None:
    reward = {"id": "ship", "name": "Free shipping", "kind": "free_shipping", "dust": 300}
    set_rules(
        name={"one": "star", "many": "stars"},
        earn={"rates": {"eur": "2.5"}, "expires_after_days": 365},
        redeem={"rates": {"eur": "50"}, "min_dust": 100, "max_share": "0.5", "rewards": [reward]},
        bonuses={"signup": 50},
        tiers={"levels": [{"name": "gold", "from": 400, "factor": "2", "benefits": ["Free returns"]}]},
        guests={"escrow_days": 30},
        time_zone="America/New_York",
    )
    answer = api.get("/store/dust/programme")
    assert answer.status_code == 200
    programme = answer.json()
    assert programme["name"] == {"one": "star", "many": "stars"}
    assert programme["earn"] == {"rates": {"eur": "2.5"}}
    assert programme["redeem"] == {"rates": {"eur": "50"}, "min_dust": 100, "max_dust": None, "max_share": "0.5"}
    assert programme["bonuses"]["signup"] == 50
    assert programme["tiers"] == [{"name": "gold", "from": "400", "factor": "2", "benefits": ["Free returns"]}]
    assert [(reward["id"], reward["dust"]) for reward in programme["rewards"]] == [("ship", 300)]
    assert (programme["expires_after_days"], programme["time_zone"]) == (365, "America/New_York")
    assert not {"guests", "reversal"} & programme.keys()
    assert api.get("/store/dust/programme", headers={"if-none-match": answer.headers["etag"]}).status_code == 304


def test_the_public_programme_of_a_new_shop_has_defaults(api: TestClient) -> None:
    programme = api.get("/store/dust/programme").json()
    assert programme["name"] == {"one": "point", "many": "points"}
    assert (programme["tiers"], programme["rewards"], programme["expires_after_days"]) == ([], [], None)


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("", "this takes none"),
        ("/balance", "this takes none"),
        ("/programme", "this takes none"),
        ("/rewards", "this takes none"),
        ("/products", "known are"),
        ("/redemptions", "known are cart_id, cursor, limit, state"),
        ("/transactions", "known are cursor, limit"),
        ("/redemptions/dred_1", "known are wait"),
        ("/referral", "this takes none"),
    ],
)
def test_an_unknown_query_parameter_is_named(api: TestClient, path: str, known: str) -> None:
    answer = api.get(f"/store/dust{path}?cart=cart_1", headers=tokens.customer())
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert (error["field"], known in error["message"]) == ("cart", True)


@pytest.mark.parametrize("wait", ["nan", "inf", "-1", "31", "soon", ""])
def test_a_wait_that_is_no_time_is_named(api: TestClient, wait: str) -> None:
    answer = api.get(f"/store/dust/redemptions/dred_1?wait={wait}", headers=tokens.customer())
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, ["wait"])


def test_pending_points_are_listed_with_their_dates(api: TestClient) -> None:
    set_rules(earn={"pending_days": 14, "expires_after_days": 365})
    later, sooner = now() - timedelta(days=1), now() - timedelta(days=3)
    settle(
        order("order_1", placed=later, lines=[line("l1", price=30)]),
        order("order_2", placed=sooner, lines=[line("l2", price=20)]),
        order("order_3", placed=now() - timedelta(days=20), lines=[line("l3", price=10)]),
    )
    balance = balance_of(api)
    assert (balance["balance"], balance["pending"]) == (10, 50)
    lots = [(lot["amount"], lot["matures_at"]) for lot in balance["pending_lots"]]
    assert lots == [
        (amount, (placed + timedelta(days=14)).isoformat().replace("+00:00", "Z"))
        for amount, placed in ((20, sooner), (30, later))
    ]
    assert [expiring["amount"] for expiring in balance["expiring"]] == [10]


def test_points_that_wait_for_a_payment_have_no_date(api: TestClient) -> None:
    set_rules(earn={"pending_until_paid": True})
    settle(order(lines=[line(price=30)], payment_status="awaiting"))
    assert balance_of(api)["pending_lots"] == [{"amount": 30, "matures_at": None}]


def test_a_tier_says_where_it_begins_and_how_far_the_customer_is(api: TestClient) -> None:
    set_rules(tiers={"levels": [{"name": "silver", "from": 100}, {"name": "gold", "from": 400}]})
    settle(order(lines=[line(price=120)]))
    tier = balance_of(api)["tier"]
    assert (tier["name"], tier["from"], tier["progress"]) == ("silver", "100", "120")
    assert tier["next"] == {"name": "gold", "from": "400", "missing": "280"}


def test_redemptions_by_cart_and_state(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(redeem={"rates": {"eur": "10"}, "min_dust": 1})
    settle(order(lines=[line(price=500)]))
    for cart_id in ("cart_1", "cart_2"):
        medusa.carts[cart_id] = {
            "id": cart_id,
            "customer_id": "cus_1",
            "currency_code": "eur",
            "completed_at": None,
            "items": [cart_line(total=50)],
            "promotions": [],
            "shipping_methods": [],
        }
        headers = {**tokens.customer(), "Idempotency-Key": cart_id}
        response = api.post("/store/dust/redemptions", json={"dust": 50, "cart_id": cart_id}, headers=headers)
        assert response.status_code == 202, response.text

    def carts_of(query: str) -> list[str]:
        answer = api.get(f"/store/dust/redemptions?{query}", headers=tokens.customer())
        assert answer.status_code == 200, answer.text
        return [redemption["cart_id"] for redemption in answer.json()["redemptions"]]

    assert carts_of("cart_id=cart_1") == ["cart_1"]
    assert carts_of("cart_id=cart_1&state=pending") == ["cart_1"]
    assert carts_of("cart_id=cart_1&state=captured") == []
    assert sorted(carts_of("state=pending")) == ["cart_1", "cart_2"]
    assert carts_of("cart_id=cart_3") == []
    assert api.get("/store/dust/redemptions?state=lost", headers=tokens.customer()).status_code == 422


def test_a_programme_that_another_user_has_changed_is_not_overwritten(api: TestClient, medusa: FakeMedusa) -> None:
    first = api.put(PROGRAMME, json={"earn": {"rates": {"eur": "2"}}}, headers=tokens.admin())
    assert (first.status_code, first.headers["etag"]) == (200, '"1"')
    read = api.get(PROGRAMME, headers=tokens.admin())
    assert read.headers["etag"] == '"1"'

    def put(rate: str, if_match: str) -> Any:
        headers = {**tokens.admin(), "If-Match": if_match}
        return api.put(PROGRAMME, json={"earn": {"rates": {"eur": rate}}}, headers=headers)

    assert put("3", '"1"').headers["etag"] == '"2"'
    refused = put("4", '"1"')
    assert (refused.status_code, refused.json()["code"], refused.json()["version"]) == (412, "programme_changed", 2)
    assert api.get(PROGRAMME, headers=tokens.admin()).json()["earn"]["rates"] == {"eur": "3"}
    assert put("5", "2").status_code == 200
    assert put("6", "*").status_code == 200
    strange = put("7", '"abc"')
    assert (strange.status_code, strange.json()["errors"][0]["field"]) == (422, "If-Match")
