"""Every kind of redemption in a real checkout: what Medusa takes off, what is captured, what a return gives back."""

from collections.abc import Iterator

import pytest

from bridge.development.demo.people import Json, Refused, Storefront
from bridge.development.demo.seed import SeededProduct
from bridge.development.stack.processes import until
from tests.support.aftersales import AfterSales
from tests.support.live_carts import set_quantity, shops_own_code
from tests.support.live_worlds import MUG_DUST, PATIENCE_SECONDS, World, in_both_shops

pytestmark = [pytest.mark.live, in_both_shops]

GIFT = 2_000
FIFTH, CAPPED, PARCEL, SHIRTS = (400, 350, 300, 600)


@pytest.fixture(scope="module", autouse=True)
def catalogue(world: World) -> Iterator[None]:
    """Four rewards, for as long as these tests run."""
    before = world.bridge.ask("GET", "/admin/dust/programme")
    rules = {name: value for name, value in before.items() if name not in {"version", "author", "created_at"}}
    rewards = [
        {"id": "fifth", "name": "A fifth off", "kind": "percentage", "dust": FIFTH, "percent": "20"},
        {
            "id": "capped",
            "name": "A fifth off, at most 10 euros",
            "kind": "percentage",
            "dust": CAPPED,
            "percent": "20",
            "max_value": {"eur": "10"},
        },
        {"id": "parcel", "name": "Free shipping", "kind": "free_shipping", "dust": PARCEL},
        {
            "id": "shirts",
            "name": "Two shirts",
            "kind": "free_product",
            "dust": SHIRTS,
            "product_id": world.keys.shirt.id,
            "quantity": 2,
        },
    ]
    world.bridge.ask("PUT", "/admin/dust/programme", {**rules, "redeem": {**rules["redeem"], "rewards": rewards}})
    yield
    world.bridge.ask("PUT", "/admin/dust/programme", rules)


@pytest.fixture
def shopper(world: World) -> Iterator[Storefront]:
    with world.shopper() as person:
        world.bridge.give(person.customer_id, GIFT)
        yield person


@pytest.fixture(scope="module")
def merchant(world: World) -> Iterator[AfterSales]:
    person = AfterSales(world.keys)
    yield person
    person.close()


def filled_cart(shopper: Storefront, *items: tuple[SeededProduct, int]) -> str:
    """A cart of these products with its shipping chosen."""
    cart_id = shopper.new_cart()
    for product, quantity in items:
        shopper.add(cart_id, product, quantity)
    shopper.choose_shipping(cart_id)
    return cart_id


def place(shopper: Storefront, cart_id: str) -> str:
    shopper.pay(cart_id)
    return shopper.complete(cart_id)


def redemption(shopper: Storefront, redemption_id: str) -> Json:
    return dict(shopper.ask("GET", f"/store/dust/redemptions/{redemption_id}")["redemption"])


def wait_for_capture(shopper: Storefront, redemption_id: str, dust: int) -> None:
    """Fails the test when an order takes another number."""

    def captured() -> bool:
        return bool(redemption(shopper, redemption_id)["dust_captured"] == dust)

    assert until(captured, PATIENCE_SECONDS), redemption(shopper, redemption_id)


def test_the_storefront_sees_the_catalogue_and_what_fits_a_cart(world: World, shopper: Storefront) -> None:
    assert [reward["id"] for reward in shopper.ask("GET", "/store/dust/rewards")["rewards"]] == [
        "parcel",
        "capped",
        "fifth",
        "shirts",
    ]
    cart_id = shopper.new_cart()
    shopper.add(cart_id, world.keys.hoodie)
    quoted = shopper.ask("POST", "/store/dust/quote", {"cart_id": cart_id})["rewards"]
    assert {reward["id"]: reward["reason_code"] for reward in quoted} == {
        "parcel": "no_shipping_method",
        "capped": None,
        "fifth": None,
        "shirts": "product_not_in_cart",
    }


def test_a_percentage_follows_the_cart_and_a_return_gives_its_share_back(
    world: World, shopper: Storefront, merchant: AfterSales
) -> None:
    cart_id = filled_cart(shopper, (world.keys.shorts, 1))
    redeemed = world.redeem(shopper, {"reward_id": "fifth", "cart_id": cart_id})
    fifth = float(world.keys.shorts.gross() / 5)
    assert shopper.cart(cart_id)["discount_total"] == pytest.approx(fifth)
    set_quantity(shopper, cart_id, world.keys.shorts, 2)
    assert shopper.cart(cart_id)["discount_total"] == pytest.approx(2 * fifth)

    order_id = place(shopper, cart_id)

    wait_for_capture(shopper, redeemed["id"], FIFTH)
    off = world.keys.shorts.gross() / 5
    world.bridge.wait_for_balance(shopper.customer_id, GIFT - FIFTH + world.earns(shorts=2, off=2 * off))
    merchant.capture(order_id)
    merchant.fulfil(order_id)
    merchant.take_back(order_id, world.keys.shorts, 1)
    wait_for_capture(shopper, redeemed["id"], FIFTH // 2)
    world.bridge.wait_for_balance(shopper.customer_id, GIFT - FIFTH // 2 + world.earns(shorts=1, off=off))


def test_goods_that_an_edit_adds_with_the_percentage_give_no_points_back(
    world: World, shopper: Storefront, merchant: AfterSales
) -> None:
    cart_id = filled_cart(shopper, (world.keys.shorts, 1))
    redeemed = world.redeem(shopper, {"reward_id": "fifth", "cart_id": cart_id})
    order_id = place(shopper, cart_id)
    wait_for_capture(shopper, redeemed["id"], FIFTH)
    off_shorts, off_hoodie = world.keys.shorts.gross() / 5, world.keys.hoodie.gross() / 5

    merchant.edit(order_id, carry_over=True, add=(world.keys.hoodie, 1))
    assert float(merchant.order(order_id)["discount_total"]) == pytest.approx(float(off_shorts + off_hoodie))
    # Medusa has canceled the payment, as the order costs more now.
    merchant.even_out(order_id)
    both = world.earns(shorts=1, hoodie=1, off=off_shorts + off_hoodie)
    world.bridge.wait_for_balance(shopper.customer_id, GIFT - FIFTH + both)
    merchant.fulfil(order_id)
    merchant.take_back(order_id, world.keys.hoodie, 1)

    world.bridge.wait_for_balance(shopper.customer_id, GIFT - FIFTH + world.earns(shorts=1, off=off_shorts))
    assert redemption(shopper, redeemed["id"])["dust_captured"] == FIFTH


@pytest.fixture
def shorts_for_points(world: World) -> Iterator[SeededProduct]:
    """Shorts that points can pay, 300 for each."""
    path = f"/admin/dust/products/{world.keys.shorts.id}"
    world.bridge.ask("PUT", path, {"dust_only": False, "dust_price": 300})
    yield world.keys.shorts
    world.bridge.ask("DELETE", path)


def test_a_unit_that_points_paid_beside_a_coupon_gives_its_share_back(
    world: World, shopper: Storefront, merchant: AfterSales, shorts_for_points: SeededProduct
) -> None:
    shorts = shorts_for_points
    cart_id = filled_cart(shopper, (shorts, 3))
    redeemed = world.redeem(shopper, {"items": [{"product_id": shorts.id, "quantity": 1}], "cart_id": cart_id})
    shopper.apply_code(cart_id, shops_own_code(merchant, 50, kind="percentage"))
    # The code takes one unit off, and the coupon one half of the two others, in this order.
    off = shorts.gross() * 2
    assert shopper.cart(cart_id)["discount_total"] == pytest.approx(float(off))

    order_id = place(shopper, cart_id)
    wait_for_capture(shopper, redeemed["id"], 300)
    merchant.capture(order_id)
    merchant.fulfil(order_id)
    merchant.take_back(order_id, shorts, 1)

    wait_for_capture(shopper, redeemed["id"], 200)


def test_products_for_points_do_not_reach_the_minimum_of_a_reward(
    world: World, shopper: Storefront, mug: SeededProduct
) -> None:
    cart_id = filled_cart(shopper, (world.keys.hoodie, 1), (world.keys.shorts, 1))
    redeemed = world.redeem(shopper, {"reward_id": "capped", "cart_id": cart_id})
    shopper.add(cart_id, world.keys.shirt)
    shopper.add(cart_id, mug, 3)
    world.redeem(shopper, {"items": [{"product_id": mug.id, "quantity": 3}], "cart_id": cart_id})
    for product in (world.keys.hoodie, world.keys.shorts):
        set_quantity(shopper, cart_id, product, 0)
    # Medusa's rule counts the mugs.
    assert redeemed["code"] in [promotion["code"] for promotion in shopper.cart(cart_id)["promotions"]]
    with pytest.raises(Refused, match=r"needs at least 50\.00 EUR of products that are not bought with points"):
        place(shopper, cart_id)


def test_a_percentage_with_a_most_takes_no_more_and_needs_the_cart_it_was_for(
    world: World, shopper: Storefront
) -> None:
    cart_id = filled_cart(shopper, (world.keys.hoodie, 1), (world.keys.shorts, 1))
    redeemed = world.redeem(shopper, {"reward_id": "capped", "cart_id": cart_id})
    # A fifth of 75.00 or of 60.00 would be more.
    assert (redeemed["value"], redeemed["min_cart"]) == ("10.00", "50.00")
    assert shopper.cart(cart_id)["discount_total"] == pytest.approx(10)

    hoodie = next(line for line in shopper.cart(cart_id)["items"] if line["product_id"] == world.keys.hoodie.id)
    shopper.ask("DELETE", f"/store/carts/{cart_id}/line-items/{hoodie['id']}")
    assert shopper.cart(cart_id)["discount_total"] == 0, "the shorts alone cost less than 50.00"
    # Medusa has taken the code out of the cart, so its points are free again.
    assert until(lambda: redemption(shopper, redeemed["id"])["state"] == "released", PATIENCE_SECONDS)
    shopper.add(cart_id, world.keys.hoodie)
    redeemed = world.redeem(shopper, {"reward_id": "capped", "cart_id": cart_id})
    assert shopper.cart(cart_id)["discount_total"] == pytest.approx(10)
    place(shopper, cart_id)

    wait_for_capture(shopper, redeemed["id"], CAPPED)
    earned = world.earns(hoodie=1, shorts=1, off=10)
    world.bridge.wait_for_balance(shopper.customer_id, GIFT - CAPPED + earned)


def test_free_shipping_stays_spent_when_goods_come_back_and_not_when_the_order_is_canceled(
    world: World, shopper: Storefront, merchant: AfterSales
) -> None:
    cart_id = filled_cart(shopper, (world.keys.shirt, 2))
    redeemed = world.redeem(shopper, {"reward_id": "parcel", "cart_id": cart_id})
    assert redeemed["reason"] is None
    order_id = place(shopper, cart_id)

    assert merchant.order(order_id)["shipping_total"] == 0
    wait_for_capture(shopper, redeemed["id"], PARCEL)
    merchant.capture(order_id)
    merchant.fulfil(order_id)
    merchant.take_back(order_id, world.keys.shirt, 1)
    world.bridge.wait_for_balance(shopper.customer_id, GIFT - PARCEL + world.earns(shirt=1))
    assert redemption(shopper, redeemed["id"])["dust_captured"] == PARCEL

    other = filled_cart(shopper, (world.keys.shirt, 1))
    redeemed = world.redeem(shopper, {"reward_id": "parcel", "cart_id": other})
    order_id = place(shopper, other)
    wait_for_capture(shopper, redeemed["id"], PARCEL)
    merchant.cancel(order_id)
    wait_for_capture(shopper, redeemed["id"], 0)
    world.bridge.wait_for_balance(shopper.customer_id, GIFT - PARCEL + world.earns(shirt=1))


def test_free_shipping_redeemed_with_the_cheap_method_does_not_pay_for_the_dearest(
    world: World, shopper: Storefront, merchant: AfterSales
) -> None:
    cheap = merchant.get(f"/admin/shipping-options/{world.keys.shipping_option_id}")["shipping_option"]
    express = {
        **{name: cheap[name] for name in ("service_zone_id", "shipping_profile_id", "provider_id", "price_type")},
        "name": "Express",
        "type": {"label": "Express", "description": "Tomorrow", "code": "express"},
        "prices": [{"region_id": world.keys.region_ids["eur"], "amount": 100}],
    }
    dear_id = merchant.post("/admin/shipping-options", express)["shipping_option"]["id"]
    cart_id = filled_cart(shopper, (world.keys.shirt, 2))
    cheap_total = shopper.cart(cart_id)["shipping_total"]

    def choose_the_dearest() -> float:
        path = f"/store/carts/{cart_id}/shipping-methods"
        return float(shopper.ask("POST", path, {"option_id": dear_id})["cart"]["shipping_total"])

    try:
        dear_total = choose_the_dearest()
        shopper.choose_shipping(cart_id)
        redeemed = world.redeem(shopper, {"reward_id": "parcel", "cart_id": cart_id})
        assert shopper.cart(cart_id)["shipping_total"] == pytest.approx(0)
        assert choose_the_dearest() == pytest.approx(dear_total - cheap_total)
        order_id = place(shopper, cart_id)
    finally:
        merchant.delete(f"/admin/shipping-options/{dear_id}")
    assert merchant.order(order_id)["shipping_total"] == pytest.approx(dear_total - cheap_total)
    wait_for_capture(shopper, redeemed["id"], PARCEL)


def test_a_free_product_with_more_units_than_are_free(world: World, shopper: Storefront, merchant: AfterSales) -> None:
    cart_id = filled_cart(shopper, (world.keys.shirt, 3))
    redeemed = world.redeem(shopper, {"reward_id": "shirts", "cart_id": cart_id})
    assert shopper.cart(cart_id)["discount_total"] == pytest.approx(float(world.keys.shirt.gross(2)))
    order_id = place(shopper, cart_id)

    wait_for_capture(shopper, redeemed["id"], SHIRTS)
    merchant.capture(order_id)
    merchant.fulfil(order_id)
    merchant.take_back(order_id, world.keys.shirt, 1)
    # A third of the line has gone, and with it a third of what dust took off.
    wait_for_capture(shopper, redeemed["id"], SHIRTS * 2 // 3)


@pytest.mark.parametrize("requested", [{"reward_id": "fifth"}, {"dust": 500}], ids=["percentage", "fixed"])
def test_in_a_mixed_cart_discounts_leave_the_dust_only_lines_to_their_own_codes(
    world: World, shopper: Storefront, mug: SeededProduct, requested: Json
) -> None:
    cart_id = filled_cart(shopper, (world.keys.hoodie, 1), (mug, 1))
    redeemed = world.redeem(shopper, {**requested, "cart_id": cart_id})
    shown = {line["product_id"]: line for line in shopper.cart(cart_id)["items"]}
    assert shown[mug.id]["adjustments"] == []
    assert [adjustment["code"] for adjustment in shown[world.keys.hoodie.id]["adjustments"]] == [redeemed["code"]]

    units = world.redeem(shopper, {"cart_id": cart_id, "pay": "dust_only"})
    place(shopper, cart_id)

    wait_for_capture(shopper, redeemed["id"], redeemed["dust"])
    wait_for_capture(shopper, units["id"], MUG_DUST)
    off = world.keys.hoodie.gross() / 5 if "reward_id" in requested else 5
    earned = world.earns(hoodie=1, off=off)
    world.bridge.wait_for_balance(shopper.customer_id, GIFT - redeemed["dust"] - MUG_DUST + earned)


def test_a_code_that_took_nothing_off_costs_nothing(world: World, shopper: Storefront, merchant: AfterSales) -> None:
    cart_id = filled_cart(shopper, (world.keys.hoodie, 1))
    redeemed = world.redeem(shopper, {"reward_id": "parcel", "cart_id": cart_id})
    # The shop gives the shipping away as well. Of two codes for the same, Medusa takes one and drops the other.
    own = {
        "code": f"FREE-{redeemed['id']}",
        "type": "standard",
        "status": "active",
        "is_automatic": False,
        "application_method": {
            "type": "fixed",
            "value": 500,
            "target_type": "shipping_methods",
            "allocation": "across",
            "currency_code": "eur",
        },
    }
    merchant.post("/admin/promotions", own)
    cart = shopper.apply_code(cart_id, own["code"])
    assert [promotion["code"] for promotion in cart["promotions"]] == [own["code"]]
    order_id = place(shopper, cart_id)

    world.bridge.wait_for_balance(shopper.customer_id, GIFT + world.earns(hoodie=1))
    assert redeemed["code"] not in str(merchant.order(order_id))
    assert redemption(shopper, redeemed["id"])["state"] == "active"
    released = shopper.ask("DELETE", f"/store/dust/redemptions/{redeemed['id']}")["redemption"]
    assert released["state"] == "released"
    assert shopper.ask("GET", "/store/dust/balance")["available"] == GIFT + world.earns(hoodie=1)


def test_a_code_that_its_order_left_unused_is_taken_away(
    world: World, shopper: Storefront, merchant: AfterSales, mug: SeededProduct
) -> None:
    world.bridge.ask("PUT", f"/admin/dust/products/{world.keys.shorts.id}", {"dust_only": False, "dust_price": 500})
    items = [{"product_id": mug.id, "quantity": 1}, {"product_id": world.keys.shorts.id, "quantity": 1}]
    redeemed = world.redeem(shopper, {"items": items})
    codes = {promotion["product_id"]: promotion["code"] for promotion in redeemed["promotions"]}
    cart_id = filled_cart(shopper, (mug, 1))
    shopper.apply_code(cart_id, codes[mug.id])
    place(shopper, cart_id)

    wait_for_capture(shopper, redeemed["id"], MUG_DUST)

    def gone() -> bool:
        return not merchant.get("/admin/promotions", code=codes[world.keys.shorts.id])["promotions"]

    assert until(gone, PATIENCE_SECONDS)
    world.bridge.ask("DELETE", f"/admin/dust/products/{world.keys.shorts.id}")


def test_the_books_are_clean(world: World) -> None:
    world.bridge.audit()
