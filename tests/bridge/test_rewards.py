"""Rewards at one price: the promotion of each kind, what an order uses of it, and what a return gives back."""

import json
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from bridge.clock import now
from bridge.db import transaction
from bridge.inbox.process_batch import process_batch
from bridge.medusa.client import get_medusa
from bridge.operations.audit import audit_medusa
from bridge.redemptions.medusa_sync import advance
from bridge.redemptions.repository import due_redemptions
from tests.support import tokens
from tests.support.admin_api import FIFTH, PARCEL, SHIRTS, offer_rewards, reason_for_the_shop, set_dust_only
from tests.support.clock import moved
from tests.support.deliveries import deliver
from tests.support.ledger import give
from tests.support.medusa import FakeMedusa, cart_line
from tests.support.orders import line, order, order_event
from tests.support.store_api import delete, figures, quote, redeem, redeemed, show

CAPPED = {**FIFTH, "id": "capped", "max_value": {"eur": "10", "usd": "12"}}
LARGE = {**PARCEL, "id": "large", "min_cart": {"eur": "50"}}
EUROS = {**PARCEL, "id": "euros", "currency_codes": ["eur"]}
CATALOGUE = [FIFTH, CAPPED, PARCEL, SHIRTS, LARGE, EUROS]


def settle(api: TestClient, document: dict[str, Any], kind: str = "order.placed") -> None:
    deliver(api, order_event(document, kind))
    process_batch()


def the_promotion(medusa: FakeMedusa) -> dict[str, Any]:
    [promotion] = medusa.promotions.values()
    return promotion


@pytest.fixture
def shop(api: TestClient, medusa: FakeMedusa) -> FakeMedusa:
    """A shop with the catalogue, and a customer with a thousand dust and a cart of 100.00."""
    assert offer_rewards(api, *CATALOGUE).status_code == 200
    give(1000)
    medusa.add_cart(
        lines=[cart_line("prod_hoodie", total=70), cart_line("prod_shirt", total=30, quantity=3)], shipping=5
    )
    return medusa


def test_the_catalogue_is_public_and_cacheable_and_the_cheapest_is_first(api: TestClient, shop: FakeMedusa) -> None:
    response = api.get("/store/dust/rewards")
    rewards = response.json()["rewards"]
    assert [reward["id"] for reward in rewards] == ["parcel", "large", "euros", "fifth", "capped", "shirts"]
    assert rewards[4] == {
        "id": "capped",
        "name": "A fifth off",
        "kind": "percentage",
        "dust": 400,
        "percent": "20",
        "max_value": {"eur": "10.00", "usd": "12.00"},
        "product_id": None,
        "quantity": None,
        "min_cart": {},
        "currency_codes": [],
        "needs_cart": True,
    }
    again = api.get("/store/dust/rewards", headers={"if-none-match": response.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("reward", "rules", "says"),
    [
        ({**FIFTH, "percent": None}, {}, "percent is missing"),
        ({**FIFTH, "percent": "101"}, {}, "less than or equal to 100"),
        ({**FIFTH, "percent": "0"}, {}, "greater than 0"),
        ({**FIFTH, "dust": 0}, {}, "greater than or equal to 1"),
        ({**FIFTH, "kind": "gift"}, {}, "free_shipping"),
        ({**FIFTH, "product_id": "prod_shirt"}, {}, "product_id belongs to free_product"),
        ({**PARCEL, "percent": "20"}, {}, "percent belongs to percentage"),
        ({**PARCEL, "id": "Free Parcel"}, {}, "pattern"),
        ({**PARCEL, "min_cart": {"EUR": "5"}}, {}, "lower case"),
        ({**SHIRTS, "product_id": None}, {}, "product_id is missing"),
        ({**SHIRTS, "quantity": 0}, {}, "greater than or equal to 1"),
        (FIFTH, {"min_dust": 500}, "fifth: the price of 400 is below the minimum"),
        (FIFTH, {"max_dust": 300}, "fifth: the price of 400 is above the maximum"),
        (FIFTH, {"max_share": "0.1"}, "fifth: 20 % are above max_share"),
        (PARCEL, {"rewards": [PARCEL, PARCEL]}, "two rewards have the id parcel"),
    ],
)
def test_a_reward_that_makes_no_sense_is_refused(
    api: TestClient, medusa: FakeMedusa, reward: dict[str, Any], rules: dict[str, Any], says: str
) -> None:
    rewards = rules.pop("rewards", [reward])
    response = offer_rewards(api, *rewards, **rules)
    assert response.status_code == 422
    [error] = response.json()["errors"]
    assert error["field"].startswith("redeem.rewards")
    assert says in error["message"]


def test_a_percentage_follows_the_cart_and_costs_one_price(api: TestClient, shop: FakeMedusa) -> None:
    redemption = redeemed(api, {"reward_id": "fifth"})
    assert (redemption["state"], redemption["kind"], redemption["reward_id"]) == ("active", "percentage", "fifth")
    assert (redemption["dust"], redemption["percent"], redemption["value"]) == (400, "20", None)
    assert the_promotion(shop)["application_method"] == {
        "type": "percentage",
        "value": 20.0,
        "target_type": "order",
        "allocation": "across",
    }
    assert the_promotion(shop)["limit"] == 1
    assert len(the_promotion(shop)["rules"]) == 1

    # 2.00 off an order of 10.00: less than the points would have bought; the price stays the same.
    settle(api, order(lines=[line(price=10, discount=2, code=redemption["code"])]))
    assert show(api, redemption["id"])["dust_captured"] == 400
    assert figures(api) == (1000 - 400 + 8, 0, 608)


def test_a_return_gives_the_same_share_of_the_price_back_and_a_cancel_all_of_it(
    api: TestClient, shop: FakeMedusa
) -> None:
    code = redeemed(api, {"reward_id": "fifth"})["code"]

    def lines(returned: int) -> list[dict[str, Any]]:
        return [
            line("l1", price=10, quantity=3, returned=returned, discount=6, code=code),
            line("l2", price=10, discount=2, code=code),
        ]

    settle(api, order(lines=lines(0)))
    assert figures(api)[0] == 1000 - 400 + 32
    # 4.00 of the 8.00 have gone, so half of the price, 200.
    settle(api, order(lines=lines(2), version=2), "order.return_received")
    assert figures(api)[0] == 1000 - 200 + 16
    settle(api, order(lines=lines(2), version=3, status="canceled"), "order.canceled")
    assert figures(api) == (1000, 0, 1000)


def test_a_return_that_does_not_divide_evenly_leaves_the_last_point_spent(api: TestClient, shop: FakeMedusa) -> None:
    redemption = redeemed(api, {"reward_id": "fifth"})
    lines = [line(price=10, quantity=3, returned=1, discount=6, code=redemption["code"])]
    settle(api, order(lines=lines))
    # Two thirds of 400 are 266.67: what was used is rounded up.
    assert show(api, redemption["id"])["dust_captured"] == 267


def test_a_percentage_with_a_maximum_is_a_fixed_discount_for_carts_from_a_minimum(
    api: TestClient, shop: FakeMedusa
) -> None:
    redemption = redeemed(api, {"reward_id": "capped", "cart_id": "cart_1"})
    assert (redemption["value"], redemption["currency_code"], redemption["min_cart"]) == ("10.00", "eur", "50.00")
    assert the_promotion(shop)["application_method"] == {
        "type": "fixed",
        "value": 10.0,
        "target_type": "order",
        "allocation": "across",
        "currency_code": "eur",
    }
    [owner, minimum] = the_promotion(shop)["rules"]
    assert minimum == {"attribute": "original_item_total", "operator": "gte", "values": ["49.995"]}
    assert json.loads(owner["description"])["min_cart"] == "50"
    assert shop.carts["cart_1"]["promotions"] == [{"code": redemption["code"]}]
    shop.add_cart("cart_2", lines=[cart_line(total=49)])
    assert get_medusa().add_codes_to_cart("cart_2", [redemption["code"]]) == set(), (
        "the cart was emptied after redeeming"
    )


def test_below_its_maximum_a_percentage_takes_its_exact_amount(api: TestClient, shop: FakeMedusa) -> None:
    shop.add_cart("cart_2", lines=[cart_line(total=33.33)])
    redemption = redeemed(api, {"reward_id": "capped", "cart_id": "cart_2"})
    assert (redemption["value"], redemption["min_cart"]) == ("6.66", "33.30")


@pytest.mark.parametrize(("currency", "total", "least"), [("eur", 59.9998, "60"), ("jpy", 5999.6, "6000")])
def test_the_minimum_of_a_cart_counts_as_the_shop_shows_it(
    api: TestClient, shop: FakeMedusa, currency: str, total: float, least: str
) -> None:
    """59.9998 is shown as 60.00."""
    offer_rewards(api, {**PARCEL, "max_value": {}, "min_cart": {currency: least}})
    shop.add_cart("cart_2", lines=[cart_line(total=total)], currency_code=currency, shipping=5)
    redemption = redeemed(api, {"reward_id": "parcel", "cart_id": "cart_2"})
    assert shop.carts["cart_2"]["promotions"] == [{"code": redemption["code"]}]


def test_a_cart_that_is_shown_below_the_minimum_is_refused(api: TestClient, shop: FakeMedusa) -> None:
    offer_rewards(api, {**PARCEL, "min_cart": {"eur": "60"}})
    shop.add_cart("cart_2", lines=[cart_line(total=59.994)], shipping=5)
    response = redeem(api, {"reward_id": "parcel", "cart_id": "cart_2"})
    assert response.json()["detail"].startswith("Your cart comes to 59.99 EUR")


def test_free_shipping(api: TestClient, shop: FakeMedusa) -> None:
    redemption = redeemed(api, {"reward_id": "parcel", "cart_id": "cart_1"})
    assert redemption["reason"] is None
    # As much as the shipping that was chosen costs: a dearer one is not free.
    assert (redemption["value"], redemption["currency_code"]) == ("5.00", "eur")
    assert the_promotion(shop)["application_method"] == {
        "type": "fixed",
        "value": 5.0,
        "target_type": "shipping_methods",
        "allocation": "across",
        "currency_code": "eur",
    }
    lines = [line(price=10, quantity=2)]
    shipping = {"shipping_code": redemption["code"], "shipping_discount": 5}
    settle(api, order(lines=lines, **shipping))
    assert show(api, redemption["id"])["dust_captured"] == 300
    # The shop does not pay shipping back for a return, so the points for it stay spent.
    lines = [line(price=10, quantity=2, returned=1)]
    settle(api, order(lines=lines, version=2, **shipping), "order.return_received")
    assert figures(api)[0] == 1000 - 300 + 10
    settle(api, order(lines=lines, version=3, status="canceled", **shipping), "order.canceled")
    assert figures(api) == (1000, 0, 1000)


def test_an_explanation_names_what_points_were_redeemed_for_and_no_ids(api: TestClient, shop: FakeMedusa) -> None:
    redemption = redeemed(api, {"reward_id": "parcel", "cart_id": "cart_1"})
    assert delete(api, redemption["id"]).status_code == 200
    redeemed(api, {"dust": 100, "currency_code": "eur"})
    set_dust_only(api, "prod_shirt", 50)
    redeemed(api, {"items": [{"product_id": "prod_shirt", "quantity": 2}]})
    answer = api.get("/admin/dust/customers/cus_1/explain", headers=tokens.admin()).json()
    sentences = [step["sentence"].split(": ", 1)[1].rsplit(" Balance", 1)[0] for step in answer["steps"][1:]]
    assert sentences == [
        '300 points on hold for the reward "Free shipping"; yours until it is used.',
        f'300 points on hold for the reward "Free shipping", redeemed on {now():%d %b %Y}, free again: '
        "Released on request.",
        "100 points on hold for 1.00 EUR off; yours until it is used.",
        "100 points on hold for 2 products; yours until it is used.",
    ]


@pytest.mark.parametrize(("shipping", "limit", "takes"), [(5, "8", "8.00"), (12, "8", "8.00"), (12, "0.001", None)])
def test_free_shipping_with_a_limit_takes_no_more_than_that(
    api: TestClient, shop: FakeMedusa, shipping: int, limit: str, takes: str | None
) -> None:
    assert offer_rewards(api, {**PARCEL, "max_value": {"eur": limit}}).status_code == 200
    shop.add_cart("cart_2", lines=[cart_line()], shipping=shipping)
    response = redeem(api, {"reward_id": "parcel", "cart_id": "cart_2"})
    if takes is None:
        assert (response.status_code, response.json()["code"]) == (409, "nothing_to_discount")
    else:
        assert response.json()["redemption"]["value"] == takes
        advance(response.json()["redemption"]["id"], get_medusa())
        assert the_promotion(shop)["application_method"]["value"] == float(takes)


def test_free_shipping_is_sent_to_medusa_without_tax(api: TestClient, shop: FakeMedusa) -> None:
    shop.carts["cart_1"]["shipping_methods"][0] |= {"total": 6.25, "tax_total": 1.25}
    redemption = redeemed(api, {"reward_id": "parcel", "cart_id": "cart_1"})
    assert redemption["value"] == "6.25"
    assert the_promotion(shop)["application_method"]["value"] == 5.0


@pytest.mark.parametrize(("limit", "value"), [(None, "5.34"), ("5.34", "5.34"), ("8", "8.00")])
def test_free_shipping_leaves_no_fraction_of_a_cent(
    api: TestClient, shop: FakeMedusa, limit: str | None, value: str
) -> None:
    # 4.99 and 7 % tax, which are 5.34 for the shopper. Medusa asks for a payment of whatever is left.
    assert offer_rewards(api, {**PARCEL, "max_value": {"eur": limit} if limit else {}}).status_code == 200
    shop.carts["cart_1"]["shipping_methods"][0] |= {"total": 5.3393, "tax_total": 0.3493}
    redemption = redeemed(api, {"reward_id": "parcel", "cart_id": "cart_1"})
    assert redemption["value"] == value
    assert the_promotion(shop)["application_method"]["value"] >= 4.99


def test_free_shipping_is_seen_in_a_snapshot_without_shipping(api: TestClient, shop: FakeMedusa) -> None:
    redemption = redeemed(api, {"reward_id": "parcel", "cart_id": "cart_1"})
    document = order(shipping_code=redemption["code"], shipping_discount=5)
    del document["shipping_methods"]
    settle(api, document)
    assert show(api, redemption["id"])["dust_captured"] == 300


def test_an_order_with_free_shipping_is_found_when_its_redemption_is_withdrawn(
    api: TestClient, shop: FakeMedusa
) -> None:
    redemption = redeemed(api, {"reward_id": "parcel", "cart_id": "cart_1"})
    shop.orders["order_1"] = order(shipping_code=redemption["code"], shipping_discount=5, placed=now())
    assert delete(api, redemption["id"]).json()["code"] == "already_used"
    process_batch()
    assert show(api, redemption["id"])["state"] == "captured"


def test_a_free_product_costs_its_price_however_many_units_were_in_the_cart(api: TestClient, shop: FakeMedusa) -> None:
    redemption = redeemed(api, {"reward_id": "shirts", "cart_id": "cart_1"})
    assert the_promotion(shop)["application_method"] == {
        "type": "percentage",
        "value": 100,
        "target_type": "items",
        "allocation": "once",
        "max_quantity": 2,
        "target_rules": [{"attribute": "items.product.id", "operator": "in", "values": ["prod_shirt"]}],
    }
    assert redemption["promotions"][0]["quantity"] == 2
    settle(api, order(lines=[line(price=10, discount=10, code=redemption["code"])]))
    assert show(api, redemption["id"])["dust_captured"] == 600


def test_returned_units_of_a_free_product_give_their_share_back(api: TestClient, shop: FakeMedusa) -> None:
    redemption = redeemed(api, {"reward_id": "shirts"})

    def lines(returned: int) -> list[dict[str, Any]]:
        return [line(price=10, quantity=2, returned=returned, discount=20, code=redemption["code"])]

    settle(api, order(lines=lines(0)))
    settle(api, order(lines=lines(1), version=2), "order.return_received")
    assert show(api, redemption["id"])["dust_captured"] == 300
    settle(api, order(lines=lines(2), version=3), "order.return_received")
    assert figures(api) == (1000, 0, 1000)


@pytest.mark.parametrize(
    ("requested", "status", "code"),
    [
        ({"reward_id": "none"}, 404, "unknown_reward"),
        ({"reward_id": "capped"}, 422, "cart_needed"),
        ({"reward_id": "large"}, 422, "cart_needed"),
        ({"reward_id": "parcel"}, 422, "cart_needed"),
        ({"reward_id": "euros"}, 422, "cart_needed"),
        ({"reward_id": "large", "cart_id": "small"}, 422, "cart_below_minimum"),
        ({"reward_id": "euros", "cart_id": "yen"}, 422, "reward_not_in_currency"),
        ({"reward_id": "capped", "cart_id": "yen"}, 422, "reward_not_in_currency"),
        ({"reward_id": "parcel", "cart_id": "small"}, 409, "no_shipping_method"),
        ({"reward_id": "parcel", "cart_id": "pickup"}, 409, "nothing_to_discount"),
        ({"reward_id": "shirts", "cart_id": "pickup"}, 409, "product_not_in_cart"),
        ({"reward_id": "fifth", "cart_id": "mugs"}, 409, "nothing_to_discount"),
        ({"reward_id": "fifth", "cart_id": "elsewhere"}, 404, "unknown_cart"),
        ({"reward_id": "fifth", "dust": 100}, 422, "invalid_fields"),
        ({"reward_id": "fifth", "currency_code": "eur"}, 422, "invalid_fields"),
        ({"reward_id": 5}, 422, "invalid_fields"),
        ({"reward_id": "fifth\x00"}, 422, "invalid_fields"),
    ],
)
def test_an_unavailable_reward_is_refused_and_nothing_is_held(
    api: TestClient, shop: FakeMedusa, requested: dict[str, Any], status: int, code: str
) -> None:
    set_dust_only(api)
    shop.add_cart("small", lines=[cart_line(total=10)])
    shop.add_cart("yen", lines=[cart_line(total=9000)], currency_code="jpy", shipping=500)
    shop.add_cart("pickup", lines=[cart_line("prod_hoodie", total=70)], shipping=0)
    shop.add_cart("mugs", lines=[cart_line("prod_mug", total=15)], shipping=5)
    response = redeem(api, requested)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert figures(api)[1] == 0


def test_too_little_dust_for_a_reward(api: TestClient, shop: FakeMedusa) -> None:
    redeemed(api, {"reward_id": "shirts"})
    redeemed(api, {"reward_id": "parcel", "cart_id": "cart_1"})
    response = redeem(api, {"reward_id": "fifth"})
    assert (response.status_code, response.json()["code"], response.json()["available"]) == (
        409,
        "insufficient_dust",
        100,
    )


def test_a_redemption_outlives_a_change_of_the_catalogue(api: TestClient, shop: FakeMedusa) -> None:
    redemption_id = redeem(api, {"reward_id": "fifth"}).json()["redemption"]["id"]
    offer_rewards(api, {**FIFTH, "percent": "5", "dust": 50})
    advance(redemption_id, get_medusa())
    assert the_promotion(shop)["application_method"]["value"] == 20.0
    assert redeem(api, {"reward_id": "parcel"}).json()["code"] == "unknown_reward"


def test_a_code_that_took_nothing_off_is_released_in_the_end_and_not_captured(
    api: TestClient, shop: FakeMedusa
) -> None:
    redemption = redeemed(api, {"reward_id": "parcel", "cart_id": "cart_1"})
    document = order(shipping_code=redemption["code"], shipping_discount=0, placed=now())
    shop.orders["order_1"] = document
    settle(api, document)
    assert show(api, redemption["id"])["state"] == "active"
    with moved(timedelta(minutes=61)):
        outcome = advance(redemption["id"], get_medusa())
    assert (outcome.redemption.state, outcome.orders) == ("released", ())
    assert figures(api)[:2] == (1000 + 10, 0)


def test_the_quote_says_which_rewards_fit_the_cart_and_why_others_do_not(api: TestClient, shop: FakeMedusa) -> None:
    shop.add_cart("cart_2", lines=[cart_line("prod_hoodie", total=40)])
    offers = {reward["id"]: reward for reward in quote(api, "cart_2")["rewards"]}
    assert {name: reward["reason_code"] for name, reward in offers.items()} == {
        "parcel": "no_shipping_method",
        "large": "cart_below_minimum",
        "euros": "no_shipping_method",
        "fifth": None,
        "capped": None,
        "shirts": "product_not_in_cart",
    }
    assert offers["fifth"]["fits"]
    assert offers["fifth"]["affordable"]
    assert "Choose a shipping method" in offers["parcel"]["reason"]
    amount = api.post(
        "/store/dust/quote", json={"amount": "40", "currency_code": "eur"}, headers=tokens.customer()
    ).json()
    assert {reward["id"] for reward in amount["rewards"] if reward["fits"]} == {"fifth", "shirts"}


# Mixed carts


@pytest.mark.parametrize(
    "requested",
    [{"dust": 500, "currency_code": "eur"}, {"reward_id": "fifth"}, {"reward_id": "capped", "cart_id": "cart_1"}],
)
def test_discounts_do_not_apply_to_points_only_products(
    api: TestClient, shop: FakeMedusa, requested: dict[str, Any]
) -> None:
    set_dust_only(api)
    set_dust_only(api, "prod_cap")
    api.put("/admin/dust/products/prod_pen", json={"dust_price": 5}, headers=tokens.admin())
    shop.carts["cart_1"]["items"].append(cart_line("prod_mug", total=15))
    redemption = redeemed(api, requested)
    method = the_promotion(shop)["application_method"]
    assert method["target_type"] == "items"
    assert method["target_rules"] == [
        {"attribute": "items.product.id", "operator": "ne", "values": ["prod_cap", "prod_mug"]}
    ]
    get_medusa().add_codes_to_cart("cart_1", [redemption["code"]])
    assert [bool(item["adjustments"]) for item in shop.carts["cart_1"]["items"]] == [True, True, False]


def test_a_mixed_cart_is_paid_with_both_and_each_is_booked(api: TestClient, shop: FakeMedusa) -> None:
    set_dust_only(api)
    shop.add_cart("mixed", lines=[cart_line("prod_mug", total=15), cart_line(total=10)])
    reported = quote(api, "mixed")
    assert (reported["dust_only"], reported["max_dust"], reported["max_value"], reported["earn"]) == (
        300,
        1000,
        "10.00",
        10,
    )
    units = redeemed(api, {"cart_id": "mixed", "pay": "dust_only"})
    money = redeemed(api, {"cart_id": "mixed", "dust": 500})
    assert redeem(api, {"cart_id": "mixed", "pay": "dust_only"}).json()["code"] == "nothing_to_pay"
    lines = [
        line("l1", product_id="prod_mug", price=15, discount=15, code=units["code"]),
        line("l2", price=10, discount=5, code=money["code"]),
    ]
    settle(api, order(lines=lines))
    assert [show(api, reward["id"])["dust_captured"] for reward in (units, money)] == [300, 500]
    assert figures(api)[0] == 1000 - 300 - 500 + 5


def test_items_added_later_with_the_percentage_neither_cost_nor_return_points(
    api: TestClient, shop: FakeMedusa
) -> None:
    """The merchant lets an edit or an exchange carry the promotion over to what it adds."""
    code = redeemed(api, {"reward_id": "fifth"})["code"]
    shirt, no_shirt = (line("l1", price=10, discount=2, code=code, returned=returned) for returned in (0, 1))
    hoodie, no_hoodie = (line("l2", price=90, discount=18, code=code, returned=returned) for returned in (0, 1))
    settle(api, order(lines=[shirt]))
    assert figures(api)[0] == 600 + 8
    settle(api, order(version=2, lines=[shirt, hoodie]), "order-edit.confirmed")
    assert figures(api)[0] == 600 + 80
    settle(api, order(version=3, lines=[shirt, no_hoodie]), "order.return_received")
    assert figures(api)[0] == 600 + 8
    settle(api, order(version=4, lines=[no_shirt, hoodie]), "order.return_received")
    assert figures(api)[0] == 600 + 72
    settle(api, order(version=5, lines=[no_shirt, no_hoodie]), "order.return_received")
    assert figures(api)[0] == 1000


def test_more_points_only_products_than_medusa_accepts_in_a_rule(api: TestClient, shop: FakeMedusa) -> None:
    for start in range(0, 2000, 100):
        batch = [
            {"product_id": f"prod_{number:026}", "dust_only": True, "dust_price": 1}
            for number in range(start, start + 100)
        ]
        response = api.post("/admin/dust/products", json={"products": batch}, headers=tokens.admin())
        assert response.status_code == 200, response.text
    assert redeemed(api, {"reward_id": "fifth"})["state"] == "active"
    assert len(the_promotion(shop)["application_method"]["target_rules"][0]["values"]) == 500


def test_a_shops_coupon_on_a_product_for_dust_does_not_lower_its_price_in_dust(
    api: TestClient, shop: FakeMedusa
) -> None:
    set_dust_only(api)
    code = redeemed(api, {"items": [{"product_id": "prod_mug", "quantity": 2}]})["code"]
    # A coupon of the shop's took 11.00 of 15.00 off each mug, and the code the rest.
    mugs = line(product_id="prod_mug", price=15, quantity=2, discount=8, code=code)
    coupon = {**mugs["adjustments"][0], "code": "SUMMER", "amount": 22, "total": 22}
    mugs.update(total=0, discount_total=30, adjustments=[*mugs["adjustments"], coupon])
    settle(api, order(lines=[mugs]))
    assert figures(api) == (1000 - 600, 0, 400)


def test_a_return_beside_a_coupon_gives_back_the_points_of_the_units_that_came_back(
    api: TestClient, shop: FakeMedusa
) -> None:
    price = {"dust_only": False, "dust_price": 100}
    api.put("/admin/dust/products/prod_mug", headers=tokens.admin(), json=price).raise_for_status()
    code_for_one, code_for_three = (
        redeemed(api, {"items": [{"product_id": "prod_mug", "quantity": units}]})["code"] for units in (1, 3)
    )

    def mugs(returned: int) -> dict[str, Any]:
        """Ten mugs: points pay for four of them, and then the shop's coupon takes half of the other 60.00 off."""
        item = line(product_id="prod_mug", price=10, quantity=10, returned=returned, discount=10, code=code_for_one)
        item["adjustments"] += [{"code": code, "amount": 30, "total": 30} for code in (code_for_three, "SUMMER")]
        kept = (10 - returned) / 10
        return item | {"total": 30 * kept, "discount_total": 70 * kept}

    settle(api, order(lines=[mugs(returned=0)]))
    assert figures(api)[0] == 1000 - 400 + 30
    settle(api, order(version=2, lines=[mugs(returned=5)]), "order.return_received")
    assert figures(api)[0] == 1000 - 200 + 15
    settle(api, order(version=3, lines=[mugs(returned=10)]), "order.return_received")
    assert figures(api)[0] == 1000


# The share of the cart


def test_the_share_counts_all_dust_in_the_cart_together(api: TestClient, shop: FakeMedusa) -> None:
    offer_rewards(api, *CATALOGUE, max_share="0.3")
    give(2000)
    redeemed(api, {"reward_id": "fifth", "cart_id": "cart_1"})
    assert shop.carts["cart_1"]["item_total"] == 80
    assert quote(api)["max_value"] == "10.00", "30.00 of 100.00, of which a fifth are taken"
    response = redeem(api, {"cart_id": "cart_1", "dust": 1001})
    assert (response.status_code, response.json()["code"], response.json()["max_dust"]) == (422, "above_maximum", 1000)
    redeemed(api, {"cart_id": "cart_1", "dust": "max"})
    assert shop.carts["cart_1"]["item_total"] == 70
    response = redeem(api, {"reward_id": "capped", "cart_id": "cart_1"})
    assert (response.status_code, response.json()["code"], response.json()["max_discount"]) == (
        422,
        "above_share",
        "0.00",
    )


def test_a_code_that_is_still_on_its_way_into_the_cart_counts(api: TestClient, shop: FakeMedusa) -> None:
    give(20_000)
    assert redeem(api, {"cart_id": "cart_1", "dust": 9_000}).status_code == 202
    assert quote(api)["max_dust"] == 1_000


def test_a_share_below_1_binds_the_code_to_carts_from_a_minimum(api: TestClient, shop: FakeMedusa) -> None:
    offer_rewards(api, *CATALOGUE, max_share="0.5")
    redemption = redeemed(api, {"dust": 500, "currency_code": "eur"})
    assert redemption["min_cart"] == "10.00"
    assert the_promotion(shop)["rules"][1:] == [
        {"attribute": "original_item_total", "operator": "gte", "values": ["10"]}
    ]


def test_a_free_product_within_the_share(api: TestClient, shop: FakeMedusa) -> None:
    offer_rewards(api, SHIRTS, max_share="0.25")
    assert redeem(api, {"reward_id": "shirts"}).json()["code"] == "cart_needed"
    shop.add_cart("cart_2", lines=[cart_line(total=30, quantity=3), cart_line("prod_hoodie", total=40)])
    refused = redeem(api, {"reward_id": "shirts", "cart_id": "cart_2"})
    assert (refused.status_code, refused.json()["code"], refused.json()["max_discount"]) == (
        422,
        "above_share",
        "17.50",
    )
    redemption = redeemed(api, {"reward_id": "shirts", "cart_id": "cart_1"})
    assert (redemption["min_cart"], redemption["currency_code"]) == ("80.00", "eur")


# A redemption of several codes


def two_products(api: TestClient) -> tuple[dict[str, Any], list[str]]:
    set_dust_only(api, "prod_mug", 300)
    set_dust_only(api, "prod_cap", 200)
    items = [{"product_id": "prod_mug", "quantity": 1}, {"product_id": "prod_cap", "quantity": 1}]
    redemption = redeemed(api, {"items": items})
    by_product = {promotion["product_id"]: promotion["code"] for promotion in redemption["promotions"]}
    return redemption, [by_product["prod_mug"], by_product["prod_cap"]]


def mug(code: str) -> list[dict[str, Any]]:
    return [line("l_mug", product_id="prod_mug", price=15, discount=15, code=code)]


def cap(code: str) -> list[dict[str, Any]]:
    return [line("l_cap", product_id="prod_cap", price=12, discount=12, code=code)]


def test_a_code_that_the_order_left_unused_is_taken_away(api: TestClient, shop: FakeMedusa) -> None:
    redemption, (first, second) = two_products(api)
    shop.use_code(first)
    settle(api, order(lines=mug(first)))
    assert figures(api) == (700, 0, 700)
    with transaction() as connection:
        assert due_redemptions(connection, now=now(), limit=10) == [redemption["id"]]
    assert second in shop.live_codes()
    advance(redemption["id"], get_medusa())
    assert shop.live_codes() == set()
    assert audit_medusa(get_medusa()) == []
    assert show(api, redemption["id"])["state"] == "captured"


def test_codes_of_one_redemption_in_two_orders_are_both_paid(api: TestClient, shop: FakeMedusa) -> None:
    redemption, (first, second) = two_products(api)
    settle(api, order(lines=mug(first)))
    settle(api, order("order_2", lines=cap(second)) | {"display_id": 18})
    shown = show(api, redemption["id"])
    assert (shown["dust_captured"], shown["order_id"]) == (500, "order_1")
    assert "Order #18 used the code although" in reason_for_the_shop(api, redemption["id"])
    assert figures(api) == (500, 0, 500)
    settle(api, order("order_2", lines=cap(second), version=2, status="canceled"), "order.canceled")
    assert figures(api) == (700, 0, 700)
    settle(api, order(lines=mug(first), version=2, status="canceled"), "order.canceled")
    assert figures(api) == (1000, 0, 1000)


def test_two_orders_with_codes_of_one_redemption_that_are_settled_together(api: TestClient, shop: FakeMedusa) -> None:
    redemption, (first, second) = two_products(api)
    deliver(api, order_event(order(lines=mug(first))))
    deliver(api, order_event(order("order_2", lines=cap(second))))
    process_batch()
    assert show(api, redemption["id"])["dust_captured"] == 500
    assert figures(api) == (500, 0, 500)


def test_an_order_that_used_a_left_over_code_is_found_when_the_code_is_withdrawn(
    api: TestClient, shop: FakeMedusa
) -> None:
    redemption, (first, second) = two_products(api)
    settle(api, order(lines=mug(first)))
    shop.orders["order_2"] = order("order_2", lines=cap(second), placed=now())
    [using_order] = advance(redemption["id"], get_medusa()).orders
    assert using_order["id"] == "order_2"
