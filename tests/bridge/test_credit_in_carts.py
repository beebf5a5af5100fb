"""A gift card pays a part of the cart, and points are redeemed twice before Medusa has the first code."""

from itertools import permutations
from typing import Any

import pytest
from fastapi.testclient import TestClient

from bridge.medusa.client import get_medusa
from bridge.redemptions.medusa_sync import advance
from tests.support import tokens
from tests.support.admin_api import FIFTH, PARCEL, SHIRTS, offer_rewards, set_dust_only
from tests.support.ledger import give
from tests.support.medusa import FakeMedusa, cart_line, codes_in
from tests.support.store_api import quote, redeem

DISCOUNT = {"dust": "max"}
CAPS = {"items": [{"product_id": "prod_cap", "quantity": 1}]}
REQUESTS = [DISCOUNT, CAPS, *({"reward_id": reward["id"]} for reward in (FIFTH, SHIRTS, PARCEL))]


@pytest.fixture
def cart(api: TestClient, medusa: FakeMedusa) -> dict[str, Any]:
    """Shirts for 30.00, a cap for 10.00 and shipping for 5.00; a mug that only points buy."""
    offer_rewards(api, FIFTH, SHIRTS, PARCEL)
    set_dust_only(api, "prod_mug", 300)
    assert api.put("/admin/dust/products/prod_cap", json={"dust_price": 200}, headers=tokens.admin()).is_success
    give(20_000)
    lines = [cart_line("prod_shirt", total=30, quantity=3), cart_line("prod_cap", total=10), cart_line("prod_mug")]
    medusa.add_cart(lines=lines, shipping=5)
    return medusa.carts["cart_1"]


def redeemed_at_once(api: TestClient, *requests: dict[str, Any]) -> list[str]:
    """The ids of the redemptions that were accepted, each before Medusa had the code of another one."""
    answers = [redeem(api, {"cart_id": "cart_1", **request}) for request in requests]
    return [response.json()["redemption"]["id"] for response in answers if response.status_code == 202]


def left_to_pay(cart: dict[str, Any]) -> float:
    lines = [line for line in cart["items"] if line["product_id"] != "prod_mug"]
    paid = sum(credit["amount"] for credit in cart["credit_lines"])
    return round(float(sum(line["total"] for line in [*lines, *cart["shipping_methods"]]) - paid), 6)


@pytest.mark.parametrize("credit", [20, 36, 41])
@pytest.mark.parametrize(("first", "second"), list(permutations(REQUESTS, 2)))
def test_two_redemptions_at_once_take_no_more_than_is_left_to_pay(
    api: TestClient, cart: dict[str, Any], first: dict[str, Any], second: dict[str, Any], credit: float
) -> None:
    cart["credit_lines"] = [{"amount": credit}]
    for redemption_id in redeemed_at_once(api, first, second):
        advance(redemption_id, get_medusa())
    assert left_to_pay(cart) >= 0


def test_what_is_offered_is_the_same_before_and_after_the_code_is_in_the_cart(
    api: TestClient, cart: dict[str, Any]
) -> None:
    cart["credit_lines"] = [{"amount": 20}]
    (caps,) = redeemed_at_once(api, CAPS)
    before = quote(api)
    advance(caps, get_medusa())
    after = quote(api)
    assert len(codes_in(cart)) == 1
    assert before["max_value"] == after["max_value"] == "15.00", "30.00 and 5.00 for shipping, less 20.00"
    assert before["optional"] == after["optional"] == []
    assert before["rewards"] == after["rewards"]


def test_points_for_points_only_products_do_not_change_what_else_is_due(api: TestClient, cart: dict[str, Any]) -> None:
    cart["credit_lines"] = [{"amount": 20}]
    assert quote(api)["max_value"] == "25.00"
    redeemed_at_once(api, {"pay": "dust_only"})
    assert quote(api)["max_value"] == "25.00"
