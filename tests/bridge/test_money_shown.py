"""Money in answers, messages and reports has the decimals of its currency in the shop's Medusa."""

import csv
import io
from datetime import timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId
from bridge.medusa.currencies import format_amount, format_money
from bridge.products.variants import differing_prices
from bridge.programme.shop_currencies import reset_currencies, save_currencies
from bridge.reports.closes import close_days
from bridge.reports.explain import explain
from tests.support import tokens
from tests.support.admin_api import offer_rewards
from tests.support.clock import moved
from tests.support.ledger import give
from tests.support.medusa import FakeMedusa, cart_line
from tests.support.orders import line, order
from tests.support.settling import set_rules, settle
from tests.support.store_api import quote, redeem, redeemed, show

pytestmark = pytest.mark.usefixtures("settings")

RATES = {"eur": "1", "jpy": "1", "huf": "1", "kwd": "1"}
SEVEN = [("eur", "7.00"), ("jpy", "7"), ("huf", "7"), ("kwd", "7.000")]


@pytest.mark.parametrize(
    ("value", "code", "rounding", "shown"),
    [
        ("5", "eur", ROUND_FLOOR, "5.00"),
        ("5", "EUR", ROUND_FLOOR, "5.00"),
        ("1.000000", "jpy", ROUND_FLOOR, "1"),
        ("1E+3", "huf", ROUND_FLOOR, "1000"),
        ("0.125", "kwd", ROUND_FLOOR, "0.125"),
        ("1.6666666667", "eur", ROUND_FLOOR, "1.66"),
        ("1.6666666667", "eur", ROUND_CEILING, "1.67"),
        ("999999999999999.999", "kwd", ROUND_FLOOR, "999999999999999.999"),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(value: str, code: str, rounding: str, shown: str) -> None:
    assert format_amount(Decimal(value), code, rounding) == shown
    assert format_money(Decimal(value), code, rounding) == f"{shown} {code.upper()}"


@pytest.mark.parametrize(("currency", "shown"), SEVEN)
def test_quotes_and_redemptions(api: TestClient, medusa: FakeMedusa, currency: str, shown: str) -> None:
    set_rules(redeem={"rates": RATES})
    give(7)
    medusa.add_cart(currency_code=currency, lines=[cart_line(total=100)])
    assert quote(api)["max_value"] == shown
    created = redeemed(api, {"cart_id": "cart_1", "dust": 7})
    assert (created["value"], show(api, created["id"])["value"]) == (shown, shown)
    listed = api.get("/store/dust/redemptions", headers=tokens.customer()).json()["redemptions"]
    assert [redemption["value"] for redemption in listed] == [shown]
    assert [redemption["value"] for redemption in quote(api)["redemptions"]] == [shown]
    exported = api.get("/admin/dust/customers/cus_1/export", headers=tokens.admin()).json()
    assert [redemption["value"] for redemption in exported["redemptions"]] == [shown]


@pytest.mark.parametrize(("currency", "shown"), SEVEN)
def test_rewards_and_what_is_missing(api: TestClient, medusa: FakeMedusa, currency: str, shown: str) -> None:
    reward = {"id": "fifth", "name": "A fifth off", "kind": "percentage", "percent": "20", "dust": 1}
    sums = {"min_cart": {currency: "7"}, "max_value": {currency: "7.000"}}
    offer_rewards(api, {**reward, **sums})
    [listed] = api.get("/store/dust/rewards").json()["rewards"]
    assert (listed["min_cart"], listed["max_value"]) == ({currency: shown}, {currency: shown})
    medusa.add_cart(currency_code=currency, lines=[cart_line(total=0)])
    [offered] = quote(api)["rewards"]
    assert (offered["missing_amount"], offered["min_cart"]) == (shown, {currency: shown})
    assert f"this reward is for carts of {shown} {currency.upper()} and more" in offered["reason"]
    give(1)
    refused = redeem(api, {"reward_id": "fifth", "cart_id": "cart_1"}).json()
    assert (refused["code"], refused["min_cart"]) == ("cart_below_minimum", shown)
    medusa.add_cart(currency_code=currency, lines=[cart_line(total=70)])
    redemption = redeemed(api, {"reward_id": "fifth", "cart_id": "cart_1"})
    assert (redemption["value"], redemption["min_cart"]) == (shown, format_amount(Decimal(35), currency))


def test_a_missing_amount_is_rounded_up_so_that_it_suffices(api: TestClient, medusa: FakeMedusa) -> None:
    """Carts with tax inside have endless decimals."""
    reward = {"id": "fifth", "name": "A fifth off", "kind": "percentage", "percent": "20", "dust": 1}
    offer_rewards(api, {**reward, "min_cart": {"eur": "10"}})
    medusa.add_cart(lines=[cart_line(total=8.333333333333334)])
    [offered] = quote(api)["rewards"]
    assert offered["missing_amount"] == "1.67"
    assert offered["reason"].startswith("Your cart comes to 8.33 EUR")


def test_a_new_process_uses_the_decimals_of_the_shops_medusa(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(redeem={"rates": {"xts": "1"}})
    with transaction() as connection:
        save_currencies(connection, {"xts": 3}, now=now())
    give(7)
    redemption = redeemed(api, {"dust": 7, "currency_code": "xts"})
    reset_currencies()
    assert show(api, redemption["id"])["value"] == "7.000"


def test_the_liability_and_the_closes(api: TestClient) -> None:
    set_rules(redeem={"rates": RATES})
    give(7)
    ask = {"headers": tokens.admin()}
    shown = dict(SEVEN)
    assert api.get("/admin/dust/reports/liability", **ask).json()["value"] == shown
    [row] = csv.DictReader(io.StringIO(api.get("/admin/dust/reports/liability?format=csv", **ask).text))
    assert {code: row[f"value_{code}"] for code in shown} == shown
    with moved(timedelta(days=1)):
        with transaction() as connection:
            close_days(connection, now=now())
        [close] = api.get("/admin/dust/reports/closes", headers=tokens.admin()).json()["closes"]
    assert close["value"] == shown


@pytest.mark.parametrize(("currency", "shown"), [("eur", ("3.00", "4.00", "7.00")), ("jpy", ("3", "4", "7"))])
def test_tiers_by_money_spent(api: TestClient, currency: str, shown: tuple[str, str, str]) -> None:
    levels = [{"name": "silver", "from": 1, "factor": "1.5"}, {"name": "gold", "from": 7, "factor": "2"}]
    tiers = {"basis": "spent", "currency_code": currency, "window_days": 30, "levels": levels}
    set_rules(earn={"rates": {currency: "1"}}, tiers=tiers)
    settle(order(placed=now(), currency_code=currency, lines=[line(price=3)]))
    tier = api.get("/store/dust/balance", headers=tokens.customer()).json()["tier"]
    progress, missing, gold = shown
    assert api.get("/store/dust/programme").json()["tiers"][1]["from"] == gold
    assert (tier["progress"], tier["next"]) == (progress, {"name": "gold", "from": gold, "missing": missing})
    with transaction() as connection:
        summary = explain(connection, CustomerId("cus_1")).summary
    assert any(
        f"{missing} {currency.upper()} more spent within 30 days make you gold." in sentence for sentence in summary
    ), summary
    exported = api.get("/admin/dust/customers/cus_1/export", headers=tokens.admin()).json()
    assert [order["spent"] for order in exported["orders"]] == [progress]


def test_tiers_by_points_have_no_decimals(api: TestClient) -> None:
    levels = [{"name": "gold", "from": 7, "factor": "2"}]
    set_rules(tiers={"window_days": 30, "levels": levels})
    assert api.get("/store/dust/balance", headers=tokens.customer()).json()["tier"]["next"]["missing"] == "7"


@pytest.mark.parametrize(
    ("currency", "refund", "shown"), [("eur", "40", ("40.00", "36.00")), ("jpy", "40", ("40", "36"))]
)
def test_a_refund_that_is_too_high(
    api: TestClient, medusa: FakeMedusa, currency: str, refund: str, shown: tuple[str, str]
) -> None:
    document: dict[str, Any] = order(currency_code=currency, lines=[line(price=12, quantity=3)])
    document["summary"] = {"paid_total": 36, "transaction_total": 36, "refunded_total": 0}
    medusa.orders["order_1"] = document
    response = api.post("/admin/dust/orders/order_1/preview", json={"refund": refund}, headers=tokens.admin())
    asked, paid = (f"{amount} {currency.upper()}" for amount in shown)
    assert f"refund: {asked} is more than the {paid} that the order was paid with." in response.text


@pytest.mark.parametrize(("currency", "shown"), SEVEN)
def test_prices_of_variants_that_differ(currency: str, shown: str) -> None:
    small, large = (
        {"title": title, "prices": [{"currency_code": currency, "amount": amount}]}
        for title, amount in (("Small", 7), ("Large", 8))
    )
    assert differing_prices([small, large])[0] == f"Small {shown} {currency.upper()}"
