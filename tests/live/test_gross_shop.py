"""A shop whose prices include tax, with yen, forint, goods by weight and gift cards, which the other shop lacks."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bridge.development.demo.people import Json, Merchant, Storefront
from bridge.development.stack.processes import until
from tests.support.live_carts import assert_refused
from tests.support.live_worlds import NOISE, PATIENCE_SECONDS, World

pytestmark = [pytest.mark.live, pytest.mark.parametrize("world", ["gross"], indirect=True, scope="module")]

GIFT = 10_000
SHIRT_POINTS = 400


@pytest.fixture(scope="module", autouse=True)
def programme(world: World) -> Iterator[None]:
    """Points in three currencies; gift cards earn nothing when they are bought."""
    before = world.bridge.ask("GET", "/admin/dust/programme")
    rules = {name: value for name, value in before.items() if name not in {"version", "author", "created_at"}}
    earn = {
        **rules["earn"],
        "rates": {"eur": "1", "jpy": "0.01", "huf": "0.0025"},
        "excluded_product_ids": [world.keys.products["GIFTCARD"].id],
    }
    redeem = {**rules["redeem"], "rates": {"eur": "100", "jpy": "100", "huf": "3"}}
    world.bridge.ask("PUT", "/admin/dust/programme", {**rules, "earn": earn, "redeem": redeem})
    yield
    world.bridge.ask("PUT", "/admin/dust/programme", rules)


@pytest.fixture
def shopper(world: World) -> Iterator[Storefront]:
    with world.shopper() as person:
        world.bridge.give(person.customer_id, GIFT)
        yield person


@pytest.fixture(scope="module")
def merchant(world: World) -> Iterator[Merchant]:
    person = Merchant(world.keys)
    yield person
    person.close()


def abroad(shopper: Storefront, currency_code: str) -> str:
    """A new cart of the same customer in the region of this currency."""
    shopper.currency_code = currency_code
    return shopper.new_cart()


def wait_for_capture(shopper: Storefront, redemption_id: str, dust: int) -> None:
    def captured() -> Json:
        return dict(shopper.ask("GET", f"/store/dust/redemptions/{redemption_id}")["redemption"])

    assert until(lambda: captured()["dust_captured"] == dust, PATIENCE_SECONDS), captured()


@pytest.mark.parametrize("quantity", [1, 3, 7])
def test_goods_paid_wholly_with_points_are_paid(
    world: World, shopper: Storefront, merchant: Merchant, quantity: int
) -> None:
    shirt = world.keys.shirt
    world.bridge.ask("PUT", f"/admin/dust/products/{shirt.id}", {"dust_only": True, "dust_price": SHIRT_POINTS})
    try:
        cart_id = shopper.new_cart()
        shopper.add(cart_id, shirt, quantity)
        world.redeem(shopper, {"cart_id": cart_id, "pay": "dust_only"})
        order_id = shopper.check_out(cart_id)
        world.bridge.wait_for_balance(shopper.customer_id, GIFT - quantity * SHIRT_POINTS)
        assert order_id not in world.bridge.ask("GET", "/admin/dust/overview")["unpaid_orders"]
    finally:
        world.bridge.ask("DELETE", f"/admin/dust/products/{shirt.id}")
    assert abs(merchant.order(order_id)["item_total"]) < NOISE


def test_all_that_a_cart_costs_can_be_paid_with_points(world: World, shopper: Storefront) -> None:
    cart_id = shopper.new_cart()
    shopper.add(cart_id, world.keys.shirt, 3)
    shopper.add(cart_id, world.keys.shorts, 1)
    quoted = shopper.ask("POST", "/store/dust/quote", {"cart_id": cart_id})
    assert quoted["max_dust"] == 5_000, "3 × 10.00 + 20.00"
    redemption = world.redeem(shopper, {"cart_id": cart_id, "dust": quoted["max_dust"]})
    assert redemption["value"] == "50.00"
    assert abs(shopper.cart(cart_id)["item_total"]) < NOISE
    shopper.check_out(cart_id)
    wait_for_capture(shopper, redemption["id"], 5_000)
    world.bridge.wait_for_balance(shopper.customer_id, GIFT - 5_000)


def test_points_that_buy_no_whole_yen_are_not_taken(world: World, shopper: Storefront) -> None:
    cart_id = abroad(shopper, "jpy")
    shopper.add(cart_id, world.keys.shirt)
    redemption = world.redeem(shopper, {"cart_id": cart_id, "dust": 199})
    assert (redemption["dust"], Decimal(redemption["value"])) == (100, 1)
    shopper.check_out(cart_id)
    wait_for_capture(shopper, redemption["id"], 100)
    # 1,500 yen less 1, of which tax is one part in eleven; a point for 100 yen.
    earned = math.floor(Decimal(1_499) / Decimal("1.1") / 100)
    world.bridge.wait_for_balance(shopper.customer_id, GIFT - 100 + earned)


def test_a_discount_in_forint_is_a_whole_number(world: World, shopper: Storefront, merchant: Merchant) -> None:
    cart_id = abroad(shopper, "huf")
    shopper.add(cart_id, world.keys.shirt)
    redemption = world.redeem(shopper, {"cart_id": cart_id, "dust": 10})
    # 10 points at 3 for a forint would be 3.33: 3 forint, for 9 points.
    assert (redemption["dust"], Decimal(redemption["value"])) == (9, 3)
    promotion = merchant.get("/admin/promotions", code=redemption["code"])["promotions"][0]
    assert promotion["application_method"]["value"] == 3
    shopper.check_out(cart_id)
    wait_for_capture(shopper, redemption["id"], 9)


def test_goods_by_weight(world: World, shopper: Storefront, merchant: Merchant) -> None:
    """Medusa 2.21.2 takes a quantity of 1.5 and makes 2 of it; Dust goes by what the cart then costs."""
    cheese = world.keys.products["CHEESE"]
    cart_id = shopper.new_cart()
    item = {"variant_id": cheese.variant_id, "quantity": 1.5}
    shopper.ask("POST", f"/store/carts/{cart_id}/line-items", item)
    price = Decimal(str(shopper.cart(cart_id)["item_total"]))
    assert price > 0
    quoted = shopper.ask("POST", "/store/dust/quote", {"cart_id": cart_id})
    assert quoted["max_dust"] == 100 * price
    redemption = world.redeem(shopper, {"cart_id": cart_id, "dust": 100})
    order_id = shopper.check_out(cart_id)
    wait_for_capture(shopper, redemption["id"], 100)
    earned = math.floor((price - 1) / Decimal("1.2") + NOISE)
    world.bridge.wait_for_balance(shopper.customer_id, GIFT - 100 + earned)
    assert Decimal(str(merchant.order(order_id)["item_total"])) == price - 1


def test_buying_a_gift_card_earns_nothing(world: World, shopper: Storefront) -> None:
    shopper.buy((world.keys.products["GIFTCARD"], 1), (world.keys.shirt, 1))
    world.bridge.wait_for_balance(shopper.customer_id, GIFT + world.earns(shirt=1))


@contextmanager
def earning(world: World, **changes: Any) -> Iterator[None]:
    """Inside the block, orders earn by rules with these changes."""
    before = world.bridge.ask("GET", "/admin/dust/programme")
    rules = {name: value for name, value in before.items() if name not in {"version", "author", "created_at"}}
    world.bridge.ask("PUT", "/admin/dust/programme", {**rules, "earn": {**rules["earn"], **changes}})
    try:
        yield
    finally:
        world.bridge.ask("PUT", "/admin/dust/programme", rules)


def pay_by_gift_card(world: World, cart_id: str, euros: Decimal) -> None:
    script = Path(__file__).with_name("gift_card.js")
    world.shop.run("Paying by gift card", print, "exec", str(script), cart_id, str(euros))


@pytest.mark.parametrize("include_credit", [True, False])
def test_a_gift_card_pays_a_part(world: World, shopper: Storefront, merchant: Merchant, include_credit: bool) -> None:
    """With tax, three shirts are 30.00 and shipping is 5.00; the gift card pays 20.00 of these 35.00."""
    card, costs = Decimal(20), Decimal(35)
    with earning(world, basis={"include_tax": False, "include_shipping": False, "include_credit": include_credit}):
        cart_id = shopper.new_cart()
        shopper.add(cart_id, world.keys.shirt, 3)
        shopper.choose_shipping(cart_id)
        pay_by_gift_card(world, cart_id, card)
        assert shopper.cart(cart_id)["total"] == costs - card
        quoted = shopper.ask("POST", "/store/dust/quote", {"cart_id": cart_id})
        shopper.pay(cart_id)
        order_id = shopper.complete(cart_id)
        # Three shirts are 25.00 without tax.
        earned = 25 if include_credit else math.floor(25 * (costs - card) / costs)
        assert (quoted["earn"], quoted["max_dust"]) == (earned, 100 * (costs - card))
        world.bridge.wait_for_balance(shopper.customer_id, GIFT + earned)
        order = merchant.order(order_id)
        assert (order["total"], order["credit_line_total"]) == (costs - card, card)

        merchant.capture(order_id)
        merchant.fulfil(order_id)
        merchant.take_back(order_id, world.keys.shirt)
        # What is left costs 25.00, of which the card still pays 20.00.
        left = math.floor(Decimal(50) / 3 if include_credit else Decimal(50) / 3 * 5 / 25)
        world.bridge.wait_for_balance(shopper.customer_id, GIFT + left)


def test_a_gift_card_pays_everything(world: World, shopper: Storefront, merchant: Merchant) -> None:
    cart_id = shopper.new_cart()
    shopper.add(cart_id, world.keys.shirt, 3)
    shopper.choose_shipping(cart_id)
    pay_by_gift_card(world, cart_id, Decimal(35))
    order_id = shopper.complete(cart_id)
    world.bridge.wait_for_balance(shopper.customer_id, GIFT + world.earns(shirt=3))
    merchant.cancel(order_id)
    world.bridge.wait_for_balance(shopper.customer_id, GIFT)


def test_a_gift_card_after_the_code_takes_no_more_off_than_the_cart_costs(world: World, shopper: Storefront) -> None:
    """Medusa would complete the cart at -10.00, and the points would be spent for nothing."""
    cart_id = shopper.new_cart()
    shopper.add(cart_id, world.keys.shirt, 3)
    shopper.choose_shipping(cart_id)
    redemption = world.redeem(shopper, {"cart_id": cart_id, "dust": 1_000})
    pay_by_gift_card(world, cart_id, Decimal(35))
    assert shopper.cart(cart_id)["total"] == -10
    assert assert_refused(shopper, cart_id, "take 10.00 EUR more off than this cart costs") == "below_zero"
    shopper.ask("DELETE", f"/store/dust/redemptions/{redemption['id']}")
    assert until(lambda: shopper.cart(cart_id)["total"] == 0, PATIENCE_SECONDS)
    shopper.complete(cart_id)
    world.bridge.wait_for_balance(shopper.customer_id, GIFT + world.earns(shirt=3))


def test_the_audit_is_clean(world: World) -> None:
    world.bridge.audit()
