"""Checkouts with real codes of a real Dust: honest payments succeed, others are refused, and carts stay intact.

`test_plugin_guard.py` tests carts that codes cannot be applied to, such as one with another customer's code.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from bridge.development.demo.people import Merchant, Refused, Storefront
from bridge.development.demo.seed import SeededProduct
from bridge.development.stack.processes import until
from tests.support.live_carts import assert_refused, code_for_items, ready_cart, set_quantity, shops_own_code
from tests.support.live_worlds import MUG_DUST, World, in_both_shops
from tests.support.promotions import facts_in_medusa, write_facts

pytestmark = [pytest.mark.live, in_both_shops]


@pytest.fixture
def shopper(world: World) -> Iterator[Storefront]:
    """A customer with points for three mugs."""
    with world.shopper() as person:
        world.bridge.give(person.customer_id, 3 * MUG_DUST)
        yield person


def paid_cart(world: World, shopper: Storefront, product: SeededProduct, quantity: int = 1) -> tuple[str, str]:
    """A cart that is ready to be ordered and whose points-only lines are paid: its id and the code."""
    cart_id = ready_cart(shopper, product, quantity)
    redemption = world.redeem(shopper, {"cart_id": cart_id, "pay": "dust_only"})
    shopper.pay(cart_id)
    return cart_id, redemption["code"]


def discounted_cart(world: World, shopper: Storefront, dust: int) -> tuple[str, dict[str, str]]:
    """A cart with a hoodie and a discount for points: its id and the redemption."""
    cart_id = ready_cart(shopper, world.keys.hoodie, 1)
    redemption = world.redeem(shopper, {"cart_id": cart_id, "dust": dust})
    shopper.pay(cart_id)
    return cart_id, redemption


def test_dust_for_every_unit_buys_the_product(world: World, shopper: Storefront, mug: SeededProduct) -> None:
    cart_id, _ = paid_cart(world, shopper, mug, 2)

    order_id = shopper.complete(cart_id)

    assert shopper.complete(cart_id) == order_id, "asked again, the same order"
    world.bridge.wait_for_balance(shopper.customer_id, MUG_DUST)


def test_a_discount_is_taken_off_and_the_dust_is_spent(world: World, shopper: Storefront) -> None:
    cart_id, _ = discounted_cart(world, shopper, 500)

    assert shopper.cart(cart_id)["discount_total"] == 5
    shopper.complete(cart_id)

    earned = world.earns(hoodie=1, off=5)
    world.bridge.wait_for_balance(shopper.customer_id, 3 * MUG_DUST - 500 + earned)


def test_no_code(shopper: Storefront, mug: SeededProduct) -> None:
    assert_refused(shopper, ready_cart(shopper, mug, 1), "“Mug” can only be bought with points. Please redeem")


def test_an_ordinary_code_instead_of_dust(world: World, shopper: Storefront, mug: SeededProduct) -> None:
    merchant = Merchant(world.keys)
    code = code_for_items(merchant, shopper.customer_id, mug, 1, rules=[])
    merchant.close()

    assert_refused(shopper, ready_cart(shopper, mug, 1, code), "“Mug” can only be bought with points. Please redeem")


def test_dust_as_a_discount_does_not_pay_for_what_has_a_price_in_dust(
    world: World, shopper: Storefront, mug: SeededProduct
) -> None:
    code = world.redeem(shopper, {"dust": 3 * MUG_DUST, "currency_code": "eur"})["code"]
    cart_id = ready_cart(shopper, mug, 1)

    assert shopper.apply_code(cart_id, code)["promotions"] == [], "the code leaves the mug out"
    shopper.pay(cart_id)
    assert_refused(shopper, cart_id, "“Mug” can only be bought with points. Please redeem")


def test_too_few_units(world: World, shopper: Storefront, mug: SeededProduct) -> None:
    code = world.redeem(shopper, {"items": [{"product_id": mug.id, "quantity": 1}]})["code"]

    assert_refused(shopper, ready_cart(shopper, mug, 3, code), "Only 1 of 3 × “Mug” are paid with points")


def test_a_quantity_raised_after_the_code_was_applied(world: World, shopper: Storefront, mug: SeededProduct) -> None:
    cart_id, _ = paid_cart(world, shopper, mug)

    set_quantity(shopper, cart_id, mug, 2)
    shopper.pay(cart_id)

    assert_refused(shopper, cart_id, "Only 1 of 2 × “Mug” are paid with points")
    world.redeem(shopper, {"cart_id": cart_id, "pay": "dust_only"})
    shopper.pay(cart_id)
    shopper.complete(cart_id)
    world.bridge.wait_for_balance(shopper.customer_id, MUG_DUST)


def test_another_customers_code(world: World, shopper: Storefront, mug: SeededProduct) -> None:
    code = world.redeem(shopper, {"items": [{"product_id": mug.id, "quantity": 1}]})["code"]
    with world.shopper() as thief:
        cart_id = thief.new_cart()
        thief.add(cart_id, mug)

        cart = thief.apply_code(cart_id, code)

        assert cart["promotions"] == []
        thief.choose_shipping(cart_id)
        thief.pay(cart_id)
        assert_refused(thief, cart_id, "“Mug” can only be bought with points")


def test_an_anonymous_cart_with_the_customers_email(world: World, shopper: Storefront, mug: SeededProduct) -> None:
    code = world.redeem(shopper, {"items": [{"product_id": mug.id, "quantity": 1}]})["code"]
    stranger = Storefront(world.keys)
    stranger.email = shopper.email

    with pytest.raises(Refused, match="Please sign in to the account whose points") as refused:
        ready_cart(stranger, mug, 1, code)
    assert refused.value.code == "not_the_owner"

    stranger.close()


def test_an_expired_code_is_refused_with_dust_away_too(world: World, shopper: Storefront) -> None:
    cart_id, redemption = discounted_cart(world, shopper, 500)
    merchant = Merchant(world.keys)
    facts = facts_in_medusa(merchant, redemption["code"])
    assert facts["expires_at"][:19] == redemption["expires_at"][:19]

    with world.bridge.away():
        # The code has expired, and its promotion still exists because Dust is away.
        write_facts(merchant, redemption["code"], {**facts, "expires_at": "2020-01-01T00:00:00+00:00"})
        assert_refused(shopper, cart_id, f"The code {redemption['code']} has expired")
    merchant.close()


def check_out_without(world: World, shopper: Storefront, cart_id: str) -> None:
    """Check out the cart, which has lost its code and costs its full price again."""
    cart = shopper.cart(cart_id)
    assert (cart["promotions"], cart["discount_total"]) == ([], 0)
    shopper.pay(cart_id)
    shopper.complete(cart_id)
    world.bridge.wait_for_balance(shopper.customer_id, 3 * MUG_DUST + world.earns(hoodie=1))


def test_a_code_whose_time_is_over_is_taken_back(world: World, shopper: Storefront) -> None:
    cart_id, redemption = discounted_cart(world, shopper, 500)
    with psycopg.connect(world.bridge.database) as connection:
        connection.execute("UPDATE dust_redemption SET expires_at = now() WHERE id = %s", [redemption["id"]])

    def released() -> bool:
        shown = shopper.ask("GET", f"/store/dust/redemptions/{redemption['id']}")["redemption"]
        return bool(shown["state"] == "released")

    assert until(released, 60)
    assert shopper.ask("GET", "/store/dust/balance")["available"] == 3 * MUG_DUST
    check_out_without(world, shopper, cart_id)


def test_a_released_code(world: World, shopper: Storefront) -> None:
    cart_id, redemption = discounted_cart(world, shopper, 500)

    shopper.ask("DELETE", f"/store/dust/redemptions/{redemption['id']}")

    check_out_without(world, shopper, cart_id)


def test_a_code_used_in_two_carts_at_once_pays_in_one(world: World, shopper: Storefront) -> None:
    code = world.redeem(shopper, {"dust": 500, "currency_code": "eur"})["code"]
    carts = [ready_cart(shopper, world.keys.shorts, 1, code) for _ in range(2)]

    def place(cart_id: str) -> str:
        try:
            return shopper.complete(cart_id)
        except Refused as refused:
            return str(refused)

    with ThreadPoolExecutor(2) as both:
        outcomes = list(both.map(place, carts))

    orders = [outcome for outcome in outcomes if outcome.startswith("order_")]
    assert len(orders) == 1, outcomes
    assert [outcome[:5] for outcome in outcomes if outcome not in orders] == ["400: "]
    earned = world.earns(shorts=1, off=5)
    world.bridge.wait_for_balance(shopper.customer_id, 3 * MUG_DUST - 500 + earned)
    loser = carts[0 if outcomes[1] == orders[0] else 1]
    assert_refused(shopper, loser, f"The code {code} has been used already")


@pytest.fixture
def half(world: World, shopper: Storefront) -> Iterator[int]:
    """During a test points may take off half of a cart. Yields how many points that is for a hoodie."""
    before = world.bridge.ask("GET", "/admin/dust/programme")
    rules = {name: value for name, value in before.items() if name not in {"version", "author", "created_at"}}
    world.bridge.ask("PUT", "/admin/dust/programme", {**rules, "redeem": {**rules["redeem"], "max_share": "0.5"}})
    world.bridge.give(shopper.customer_id, 10_000)
    yield int(world.keys.hoodie.gross() / 2 * 100)
    world.bridge.ask("PUT", "/admin/dust/programme", rules)


def test_codes_made_without_a_cart_take_off_no_more_than_the_share_together(
    world: World, shopper: Storefront, half: int
) -> None:
    first, second = (world.redeem(shopper, {"dust": half, "currency_code": "eur"})["code"] for _ in range(2))
    cart_id = ready_cart(shopper, world.keys.hoodie, 1, first, second)
    assert shopper.cart(cart_id)["item_total"] == pytest.approx(0)

    assert_refused(shopper, cart_id, "Points take .* off this cart, and at most .* is allowed. Please remove a code")

    shopper.ask("DELETE", f"/store/carts/{cart_id}/promotions", {"promo_codes": [second]})
    shopper.pay(cart_id)
    shopper.complete(cart_id)


def test_what_a_quote_offers_beside_a_coupon_is_accepted_and_a_later_coupon_is_not(
    world: World, shopper: Storefront, half: int
) -> None:
    merchant = Merchant(world.keys)
    cart_id = ready_cart(shopper, world.keys.hoodie, 1, shops_own_code(merchant, 7))
    quoted = shopper.ask("POST", "/store/dust/quote", {"cart_id": cart_id})
    assert quoted["max_dust"] == half - 350
    world.redeem(shopper, {"cart_id": cart_id, "dust": quoted["max_dust"]})
    later = shops_own_code(merchant, 10)
    shopper.apply_code(cart_id, later)
    shopper.pay(cart_id)

    assert_refused(shopper, cart_id, "Points take .* off this cart")

    shopper.ask("DELETE", f"/store/carts/{cart_id}/promotions", {"promo_codes": [later]})
    shopper.pay(cart_id)
    shopper.complete(cart_id)
    merchant.close()


@pytest.fixture
def hoodie_that_nothing_discounts(world: World) -> Iterator[SeededProduct]:
    merchant, hoodie = Merchant(world.keys), world.keys.hoodie
    merchant.post(f"/admin/products/{hoodie.id}", {"discountable": False})
    yield hoodie
    merchant.post(f"/admin/products/{hoodie.id}", {"discountable": True})
    merchant.close()


def test_points_pay_for_no_product_that_is_not_discountable(
    world: World, shopper: Storefront, hoodie_that_nothing_discounts: SeededProduct
) -> None:
    world.bridge.give(shopper.customer_id, 2_000)
    cart_id = shopper.new_cart()
    hoodie = shopper.add(cart_id, hoodie_that_nothing_discounts)["total"]
    shirt = shopper.add(cart_id, world.keys.shirt)["total"] - hoodie

    assert shopper.ask("POST", "/store/dust/quote", {"cart_id": cart_id})["max_value"] == f"{shirt:.2f}"

    world.redeem(shopper, {"cart_id": cart_id, "dust": "max"})
    assert shopper.cart(cart_id)["total"] == pytest.approx(hoodie)


def test_the_audit_is_clean(world: World) -> None:
    world.bridge.audit()
