"""Products that promotions do not apply to, such as gift cards: points take nothing off them."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.support import tokens
from tests.support.admin_api import FIFTH, call, fields, offer_rewards, set_dust_only
from tests.support.ledger import give
from tests.support.medusa import FakeMedusa, cart_line
from tests.support.store_api import quote, redeem, redeemed


def gift_card(total: float = 50) -> dict[str, Any]:
    return {**cart_line("prod_gift_card", total=total), "is_discountable": False}


def discount_in(medusa: FakeMedusa) -> float:
    return sum(adjustment["amount"] for line in medusa.carts["cart_1"]["items"] for adjustment in line["adjustments"])


@pytest.fixture(autouse=True)
def mixed_cart(medusa: FakeMedusa) -> None:
    medusa.add_cart(lines=[gift_card(), cart_line(total=10)])
    give(9000)


def test_a_quote_offers_what_the_other_lines_take(api: TestClient, medusa: FakeMedusa) -> None:
    quoted = quote(api)
    assert (quoted["max_dust"], quoted["max_value"]) == (1000, "10.00")
    assert redeem(api, {"cart_id": "cart_1", "dust": 1001}).json()["code"] == "above_maximum"
    redemption = redeemed(api, {"cart_id": "cart_1", "dust": "max"})
    assert (redemption["dust"], redemption["value"], discount_in(medusa)) == (1000, "10.00", 10)
    assert quote(api)["max_dust"] == 0


def test_a_cart_of_gift_cards_takes_no_points(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.add_cart(lines=[gift_card()])
    assert (quote(api)["max_dust"], quote(api)["reason_code"]) == (0, "cart_takes_no_points")
    assert redeem(api, {"cart_id": "cart_1", "dust": "max"}).json()["code"] == "cart_takes_no_points"


def test_a_share_of_the_cart_is_of_all_its_lines(api: TestClient, medusa: FakeMedusa) -> None:
    assert api.put("/admin/dust/programme", json={"redeem": {"max_share": "0.1"}}, headers=tokens.admin()).is_success
    assert quote(api)["max_value"] == "6.00"


@pytest.mark.parametrize(("percent", "max_value"), [("20", {}), ("20", {"eur": "9"})])
def test_a_percentage_is_of_the_other_lines(
    api: TestClient, medusa: FakeMedusa, percent: str, max_value: dict[str, str]
) -> None:
    offer_rewards(api, {**FIFTH, "percent": percent, "max_value": max_value})
    redemption = redeemed(api, {"cart_id": "cart_1", "reward_id": "fifth"})
    assert (redemption["value"], discount_in(medusa)) == ("2.00" if max_value else None, 2)
    medusa.add_cart(lines=[gift_card()])
    assert [reward["reason_code"] for reward in quote(api)["rewards"]] == ["nothing_to_discount"]
    assert redeem(api, {"cart_id": "cart_1", "reward_id": "fifth"}, key="other").json()["code"] == "nothing_to_discount"


def test_such_a_product_gets_no_price_in_points(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.add_product("prod_gift_card", 50)
    medusa.products["prod_gift_card"]["discountable"] = False
    response = call(api, "PUT", "/admin/dust/products/prod_gift_card", json={"dust_price": 500})
    assert (response.status_code, fields(response)) == (422, {"dust_price"})
    assert "it is not discountable in Medusa" in response.text
    reward = {"id": "free", "name": "Free", "kind": "free_product", "dust": 400, "product_id": "prod_gift_card"}
    assert offer_rewards(api, reward).status_code == 422
    medusa.products["prod_gift_card"]["discountable"] = True
    assert offer_rewards(api, reward).status_code == 200


def test_no_points_are_taken_for_a_product_that_stays_to_be_paid(api: TestClient, medusa: FakeMedusa) -> None:
    offer_rewards(
        api, {"id": "free", "name": "Free", "kind": "free_product", "dust": 400, "product_id": "prod_gift_card"}
    )
    set_dust_only(api, "prod_gift_card", 500)
    quoted = quote(api)
    assert (quoted["dust_only_due"], quoted["dust_only_items"]) == (0, [])
    assert [reward["reason_code"] for reward in quoted["rewards"]] == ["nothing_to_discount"]
    for request in ({"pay": "dust_only"}, {"reward_id": "free"}):
        assert redeem(api, {"cart_id": "cart_1", **request}, key=str(request)).status_code == 409
