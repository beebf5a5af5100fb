"""Customers cannot read what is for the shop only, and responses about one customer are not cached."""

import csv
import io
from typing import Any

import pytest
from fastapi.testclient import TestClient

from bridge.csv_cells import plain_cell, safe_cell
from bridge.medusa.client import get_medusa
from bridge.medusa.errors import MedusaAway
from bridge.observability.logs import redact
from bridge.redemptions.medusa_sync import advance
from tests.support import tokens
from tests.support.admin_api import reason_for_the_shop
from tests.support.ledger import give
from tests.support.medusa import FakeMedusa, cart_line
from tests.support.store_api import FIVE_EUR, redeem, show

REASON = "Chargeback in case 4711: keep an eye on them"
PUBLIC = {"/store/dust/products", "/store/dust/programme", "/store/dust/rewards"}


def admin(key: str = "k") -> dict[str, str]:
    return {**tokens.admin(), "Idempotency-Key": key}


@pytest.mark.parametrize("description", ["", "Sorry for the delay"])
def test_a_customer_cannot_read_the_internal_reason(api: TestClient, description: str) -> None:
    given: dict[str, Any] = {"amount": 100, "reason": REASON, "description": description}
    api.post("/admin/dust/customers/cus_1/adjustments", json=given, headers=admin())
    bonus = {**given, "customer_id": "cus_1"}
    assert api.post("/admin/dust/bonuses", json=bonus, headers=admin()).status_code == 201

    theirs = api.get("/store/dust/transactions", headers=tokens.customer())
    adjustment = theirs.json()["transactions"][1]
    assert adjustment["reference_id"] == adjustment["id"]
    assert adjustment["description"] == (description or "Correction by the shop")
    assert theirs.json()["transactions"][0]["description"] == (description or "A bonus from the shop")
    export = api.get("/admin/dust/customers/cus_1/export", headers=tokens.admin())
    assert REASON not in theirs.text + export.text
    for_the_shop = api.get("/admin/dust/customers/cus_1/transactions", headers=tokens.admin())
    assert for_the_shop.json()["transactions"][1]["reference_id"] == REASON


def test_the_command_line_keeps_the_reason_too(api: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    from bridge.cli import app

    for command in (["adjust", "cus_1", "5"], ["bonus", "cus_1", "--amount", "5"]):
        app([*command, "--reason", REASON], standalone_mode=False)
    assert REASON not in api.get("/store/dust/transactions", headers=tokens.customer()).text


def test_no_cache_keeps_what_is_not_public(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.add_cart(lines=[cart_line()])
    paths: dict[str, dict[str, Any]] = api.get("/openapi.json").json()["paths"]
    asked = [path for path, methods in paths.items() if "get" in methods and path not in PUBLIC]
    assert len(asked) > 20
    for path in asked:
        for headers in ({}, tokens.customer(), tokens.admin()):
            response = api.get(path, headers=headers)
            assert response.headers["cache-control"] == "private, no-store", path
    for requested in ({"cart_id": "cart_1"}, {"cart_id": "cart_2"}, {}):
        response = api.post("/store/dust/quote", json=requested, headers=tokens.customer())
        assert response.headers["cache-control"] == "private, no-store"
    for path in PUBLIC:
        assert "public" in api.get(path).headers["cache-control"]


def test_why_a_redemption_waits_is_a_sentence_for_shoppers(api: TestClient, medusa: FakeMedusa) -> None:
    give(1000)
    cart_id = "cart_1"
    medusa.add_cart(lines=[cart_line()])
    waiting = redeem(api, FIVE_EUR).json()["redemption"]["id"]
    medusa.away = True
    with pytest.raises(MedusaAway):
        advance(waiting, get_medusa())
    assert show(api, waiting)["reason"] == "The code is not ready yet: the shop keeps trying."
    assert "Medusa answered 503" in reason_for_the_shop(api, waiting)
    medusa.away = False
    in_cart = redeem(api, {"cart_id": cart_id, "dust": 500}, key="in cart").json()["redemption"]["id"]
    del medusa.carts[cart_id]
    advance(in_cart, get_medusa())
    assert show(api, in_cart)["reason"] == "The code could not be put into the cart: please enter it there."
    assert cart_id in reason_for_the_shop(api, in_cart)
    # A redemption whose release is requested and fails.
    medusa.away = True
    api.delete(f"/store/dust/redemptions/{in_cart}", headers=tokens.customer())
    assert "keeps trying" in show(api, in_cart)["reason"]


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "=cmd|'/c calc'!A0", "-", "＝1+1", "＋1", "－1", "＠A1"],
)
def test_no_cell_is_a_formula_for_spreadsheets(text: str) -> None:
    assert safe_cell(text) == f"'{text}"
    assert plain_cell(safe_cell(text)) == text


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("gift;=1+1", "gift;'=1+1"),
        ('gift;"=1+1', "gift;\"'=1+1"),
        ("gift; -1+1", "gift; '-1+1"),
        ("gift\n=1+1\nthanks", "gift\n'=1+1\nthanks"),
        ("gift\r\n＝1+1", "gift\r\n'＝1+1"),
        ("=1;=2", "'=1;'=2"),
        (";=1", ";'=1"),
        ("\r=1", "'\r'=1"),
        ("gift; thanks, -1", "gift; thanks, -1"),
    ],
)
def test_no_cell_is_a_formula_if_split_at_semicolons(text: str, cell: str) -> None:
    assert safe_cell(text) == cell


@pytest.mark.parametrize("value", ["", "plain", "5", "-5", "-5.25", "cus_1", "'=1", 7, None])
def test_other_cells_stay_as_they_are(value: Any) -> None:
    assert safe_cell(value) == value


def test_the_exported_ledger_contains_no_spreadsheet_formula(
    api: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    from bridge.cli import app

    formula = '=HYPERLINK("http://evil.test","free points")'
    given = {"amount": 100, "reason": formula, "description": formula}
    api.post("/admin/dust/customers/cus_1/adjustments", json=given, headers=admin())
    api.post("/admin/dust/customers/cus_1/adjustments", json={**given, "amount": -30}, headers=admin("other"))
    capsys.readouterr()
    app(["export", "--transactions"], standalone_mode=False)
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["amount"] for row in rows] == ["100", "-30"]
    assert {row["description"] for row in rows} == {row["reference_id"] for row in rows} == {f"'{formula}"}


# With the square of the length it would take an hour.
@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", ["eyJaaaa", "sk_", "whsec_", "Bearer ", "DUST-", "a@", "@a", "a@b-", "://a", "x" * 64])
def test_redaction_takes_linear_time(text: str) -> None:
    redact(text * (1_000_000 // len(text)))
    redact(f"{text}@" + "a" * 1_000_000)
