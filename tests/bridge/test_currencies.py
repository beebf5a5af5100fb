"""A currency has the decimals that the shop's Medusa says, and the figures outlive a Medusa that is away."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient

from bridge.clock import now
from bridge.db import transaction
from bridge.inbox.reconcile import reconcile
from bridge.medusa.client import get_medusa
from bridge.medusa.currencies import decimal_digits
from bridge.programme.shop_currencies import load_currencies, reset_currencies, save_currencies
from tests.support import tokens
from tests.support.clock import moved
from tests.support.ledger import give
from tests.support.medusa import FakeMedusa, cart_line
from tests.support.store_api import redeem, redeemed

pytestmark = pytest.mark.usefixtures("settings")


REWARD = {"id": "parcel", "name": "Free parcel", "kind": "free_shipping", "dust": 5}


def put(api: TestClient, document: dict[str, Any]) -> Any:
    return api.put("/admin/dust/programme", headers=tokens.admin(), json=document)


@pytest.mark.parametrize(
    ("code", "digits"), [("eur", 2), ("huf", 0), ("jpy", 0), ("kwd", 3), ("bhd", 3), ("irt", 0), ("isk", 0), ("xyz", 2)]
)
def test_medusas_default_decimals_are_used_before_the_first_request(code: str, digits: int) -> None:
    assert decimal_digits(code) == digits


def test_a_discount_in_forint_has_no_decimals(api: TestClient, medusa: FakeMedusa) -> None:
    put(api, {"redeem": {"rates": {"huf": "3"}}}).raise_for_status()
    give(100)
    assert Decimal(redeemed(api, {"dust": 12, "currency_code": "huf"})["value"]) == 4
    refused = redeem(api, {"dust": 2, "currency_code": "huf"})
    assert (refused.status_code, refused.json()["code"]) == (422, "below_minimum")
    assert {p["application_method"]["value"] for p in medusa.promotions.values()} == {4}


def test_the_shop_says_how_many_decimals_there_are(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.currencies["huf"] = {"code": "huf", "decimal_digits": 2}
    put(api, {"redeem": {"rates": {"huf": "3"}}}).raise_for_status()
    give(100)
    assert redeemed(api, {"dust": 10, "currency_code": "huf"})["value"] == "3.33"
    # Another process, and one that starts while Medusa is away.
    medusa.away = True
    reset_currencies()
    assert decimal_digits("huf") == 0
    with transaction() as connection:
        load_currencies(connection)
    assert decimal_digits("huf") == 2


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"earn": {"rates": {"xyz": "1"}}}, "earn.rates.xyz"),
        ({"redeem": {"rates": {"xyz": "1"}}}, "redeem.rates.xyz"),
        ({"tiers": {"basis": "spent", "currency_code": "xyz"}}, "tiers.currency_code"),
        ({"redeem": {"rewards": [REWARD | {"min_cart": {"eur": "1", "xyz": "1"}}]}}, "redeem.rewards.0.min_cart.xyz"),
        ({"redeem": {"rewards": [REWARD | {"currency_codes": ["eur", "xyz"]}]}}, "redeem.rewards.0.currency_codes.1"),
    ],
)
def test_a_currency_that_the_shop_does_not_have_is_named(
    api: TestClient, medusa: FakeMedusa, document: dict[str, Any], field: str
) -> None:
    refused = put(api, document)
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert error["field"] == field
    assert "'xyz'" in error["message"]
    # While Medusa is away only the letters are checked.
    medusa.away = True
    assert put(api, document).status_code == 200


def test_the_default_currency_is_not_refused_in_a_shop_without_euros(api: TestClient, medusa: FakeMedusa) -> None:
    del medusa.currencies["eur"]
    assert put(api, {"redeem": {"rates": {"huf": "1"}}}).status_code == 200
    assert put(api, {"redeem": {"rates": {"eur": "1"}}}).status_code == 422


def test_the_most_that_a_reward_takes_off_has_the_currencys_decimals(api: TestClient, medusa: FakeMedusa) -> None:
    fifth = REWARD | {"kind": "percentage", "percent": "20", "max_value": {"huf": "3.33"}}
    put(api, {"redeem": {"rates": {"huf": "1"}, "rewards": [fifth]}}).raise_for_status()
    give(100)
    cart = {"id": "cart_1", "customer_id": "cus_1", "currency_code": "huf", "completed_at": None, "promotions": []}
    medusa.carts["cart_1"] = cart | {"items": [cart_line(total=1000)]}
    assert Decimal(redeemed(api, {"cart_id": "cart_1", "reward_id": "parcel"})["value"]) == 3


@pytest.mark.parametrize("code", ["EUR", "e", "eu1", "euro"])
def test_an_invalid_currency_code_is_refused_while_medusa_is_away(
    api: TestClient, medusa: FakeMedusa, code: str
) -> None:
    medusa.away = True
    refused = put(api, {"earn": {"rates": {code: "1"}}})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == f"earn.rates.{code}"


def test_a_currency_that_only_medusa_has_is_taken(api: TestClient, medusa: FakeMedusa) -> None:
    assert put(api, {"earn": {"rates": {"irt": "0.001"}}}).status_code == 200


def test_the_poll_asks_once_a_day(medusa: FakeMedusa) -> None:
    for _ in range(2):
        reconcile(get_medusa())
    assert medusa.calls.count(("GET", "/admin/currencies")) == 1
    assert decimal_digits("kwd") == 3


def test_the_poll_asks_again_after_a_clock_that_was_ahead(medusa: FakeMedusa) -> None:
    with moved(timedelta(days=30)):
        reconcile(get_medusa())
    reconcile(get_medusa())
    assert medusa.calls.count(("GET", "/admin/currencies")) == 2


def test_a_poll_does_not_depend_on_currencies(medusa: FakeMedusa) -> None:
    medusa.currencies.clear()
    reconcile(get_medusa())


def test_a_currency_that_is_gone_keeps_its_last_figure(medusa: FakeMedusa) -> None:
    with transaction() as connection:
        save_currencies(connection, {"eur": 2, "xyz": 4}, now=now())
        save_currencies(connection, {"eur": 2}, now=now())
    reset_currencies()
    with transaction() as connection:
        load_currencies(connection)
    assert decimal_digits("xyz") == 4
