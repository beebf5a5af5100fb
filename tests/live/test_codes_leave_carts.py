"""A real Medusa: a code leaves every cart at its release, and its points are free when it leaves its cart."""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from bridge.development.demo.people import Json, Merchant, Refused, Storefront
from bridge.development.stack.processes import until
from tests.support.live_carts import set_quantity
from tests.support.live_worlds import PATIENCE_SECONDS, World
from tests.support.promotions import owner_rule

pytestmark = pytest.mark.live

POINTS = 500
# What 500 points take off, and what a shirt costs with tax.
VALUE = 5
FULL = 12.5
# From the shopper's click to available points, on a busy machine.
SECONDS = 20


@pytest.fixture
def shopper(world: World) -> Iterator[Storefront]:
    """A customer with points for two codes."""
    with world.shopper() as person:
        world.bridge.give(person.customer_id, 2 * POINTS)
        yield person


@pytest.fixture
def merchant(world: World) -> Iterator[Merchant]:
    person = Merchant(world.keys)
    yield person
    person.close()


def cart_with_code(world: World, shopper: Storefront) -> tuple[str, Json]:
    """A cart with a shirt and a code that was redeemed for it."""
    cart_id = shopper.new_cart()
    shopper.add(cart_id, world.keys.shirt)
    redemption = world.redeem(shopper, {"cart_id": cart_id, "dust": POINTS})
    cart = shopper.cart(cart_id)
    assert [promotion["code"] for promotion in cart["promotions"]] == [redemption["code"]]
    assert cart["total"] == FULL - VALUE
    return cart_id, redemption


def assert_full_price(shopper: Storefront, cart_id: str, total: float = FULL) -> None:
    """The cart has no promotion, not even a null, and no discount."""
    cart = shopper.cart(cart_id)
    assert cart["promotions"] == []
    assert [item["adjustments"] for item in cart["items"]] == [[]] * len(cart["items"])
    assert (cart["discount_total"], cart["total"]) == (0, total)


def of(shopper: Storefront, redemption: Json) -> Json:
    return dict(shopper.ask("GET", f"/store/dust/redemptions/{redemption['id']}")["redemption"])


def held(shopper: Storefront) -> int:
    return int(shopper.ask("GET", "/store/dust/balance")["held"])


def remove_code(shopper: Storefront, cart_id: str, code: str) -> None:
    """Remove the code with the Store API's DELETE, as the trash icon does."""
    shopper.ask("DELETE", f"/store/carts/{cart_id}/promotions", {"promo_codes": [code]})


def by_request(world: World, shopper: Storefront, redemption: Json) -> None:
    """Release by request. With a 503 Medusa was too slow; the release is stored and happens automatically."""
    try:
        shopper.ask("DELETE", f"/store/dust/redemptions/{redemption['id']}")
    except Refused as refused:
        if refused.status != 503:
            raise


def by_time(world: World, shopper: Storefront, redemption: Json) -> None:
    with psycopg.connect(world.bridge.database) as connection:
        connection.execute("UPDATE dust_redemption SET expires_at = now() WHERE id = %s", [redemption["id"]])


@pytest.mark.parametrize("release", [by_request, by_time], ids=lambda way: way.__name__)
def test_a_released_code_leaves_its_cart_which_can_be_completed_at_full_price(
    world: World, shopper: Storefront, merchant: Merchant, release: Callable[[World, Storefront, Json], None]
) -> None:
    cart_id, redemption = cart_with_code(world, shopper)
    shopper.choose_shipping(cart_id)
    shopper.pay(cart_id)

    release(world, shopper, redemption)

    assert until(lambda: of(shopper, redemption)["state"] == "released", SECONDS), of(shopper, redemption)
    shipping = shopper.cart(cart_id)["shipping_total"]
    assert_full_price(shopper, cart_id, FULL + shipping)
    assert held(shopper) == 0
    assert merchant.get("/admin/promotions", code=redemption["code"])["promotions"] == []
    # The payment session was about another total, so it is gone.
    shopper.pay(cart_id)
    order = merchant.order(shopper.complete(cart_id))
    assert (order["discount_total"], order["total"]) == (0, FULL + shipping)


def trash_icon(world: World, shopper: Storefront, cart_id: str, code: str) -> float:
    remove_code(shopper, cart_id, code)
    return FULL


def replaced(world: World, shopper: Storefront, cart_id: str, code: str) -> float:
    """The trash icon of Medusa's starter sends the remaining codes."""
    shopper.ask("POST", f"/store/carts/{cart_id}", {"promo_codes": []})
    return FULL


def emptied(world: World, shopper: Storefront, cart_id: str, code: str) -> float:
    for item in shopper.cart(cart_id)["items"]:
        shopper.ask("DELETE", f"/store/carts/{cart_id}/line-items/{item['id']}")
    return 0


def other_region(world: World, shopper: Storefront, cart_id: str, code: str) -> float:
    """The same numbers in dollars, without tax."""
    shopper.ask("POST", f"/store/carts/{cart_id}", {"region_id": world.keys.region_ids["usd"]})
    return world.keys.shirt.price


def other_customer(world: World, shopper: Storefront, cart_id: str, code: str) -> float:
    with world.shopper() as another:
        another.ask("POST", f"/store/carts/{cart_id}/customer")
    return FULL


WAYS = [trash_icon, replaced, emptied, other_region, other_customer]


@pytest.mark.parametrize("leave", WAYS, ids=lambda way: way.__name__)
def test_a_code_that_leaves_its_cart_frees_its_points_within_seconds(
    world: World, shopper: Storefront, leave: Callable[[World, Storefront, str, str], float]
) -> None:
    cart_id, redemption = cart_with_code(world, shopper)
    assert held(shopper) == POINTS

    total = leave(world, shopper, cart_id, redemption["code"])

    assert until(lambda: held(shopper) == 0, SECONDS), of(shopper, redemption)
    shown = of(shopper, redemption)
    assert (shown["state"], shown["reason"]) == ("released", "The code was removed from the cart.")
    assert_full_price(shopper, cart_id, total)


def test_medusas_redis_event_bus_delivers_it_too(redis_world: World) -> None:
    with redis_world.shopper() as shopper:
        redis_world.bridge.give(shopper.customer_id, POINTS)
        cart_id, redemption = cart_with_code(redis_world, shopper)
        remove_code(shopper, cart_id, redemption["code"])
        assert until(lambda: held(shopper) == 0, SECONDS), of(shopper, redemption)
        assert_full_price(shopper, cart_id)


def test_a_code_that_is_put_back_at_once_stays(world: World, shopper: Storefront) -> None:
    cart_id, redemption = cart_with_code(world, shopper)
    remove_code(shopper, cart_id, redemption["code"])
    shopper.apply_code(cart_id, redemption["code"])

    # A second code is removed too: when its points are available, the check of the first one is over.
    other_id = shopper.new_cart()
    shopper.add(other_id, world.keys.shirt)
    other = world.redeem(shopper, {"cart_id": other_id, "dust": POINTS})
    remove_code(shopper, other_id, other["code"])
    assert until(lambda: of(shopper, other)["state"] == "released", SECONDS)

    assert of(shopper, redemption)["state"] == "active"
    order_id = shopper.check_out(cart_id)
    assert until(lambda: of(shopper, redemption)["order_id"] == order_id, PATIENCE_SECONDS)


def test_a_change_that_keeps_the_code_sends_nothing_to_the_bridge(world: World, shopper: Storefront) -> None:
    cart_id, redemption = cart_with_code(world, shopper)
    set_quantity(shopper, cart_id, world.keys.shirt, 2)
    shopper.choose_shipping(cart_id)
    remove_code(shopper, cart_id, redemption["code"])
    assert until(lambda: of(shopper, redemption)["state"] == "released", SECONDS)

    with psycopg.connect(world.bridge.database) as connection:
        query = "SELECT count(*) FROM webhook_event WHERE type = 'dust.code_removed' AND subject = %s"
        assert connection.execute(query, [cart_id]).fetchone() == (1,)


def test_a_code_typed_into_other_carts_leaves_all_of_them(world: World, shopper: Storefront) -> None:
    redemption = world.redeem(shopper, {"dust": POINTS, "currency_code": "eur"})
    carts = [shopper.new_cart() for _ in range(6)]
    for cart_id in carts:
        shopper.add(cart_id, world.keys.shirt)
        shopper.apply_code(cart_id, redemption["code"])
        assert shopper.cart(cart_id)["discount_total"] == VALUE

    by_request(world, shopper, redemption)

    assert until(lambda: of(shopper, redemption)["state"] == "released", SECONDS)
    for cart_id in carts:
        assert_full_price(shopper, cart_id)
    assert held(shopper) == 0


def dead_code(merchant: Merchant, shopper: Storefront, world: World) -> tuple[str, str]:
    """A cart whose code's promotion was deleted, as an older Dust left it behind."""
    code = f"DUST-{secrets.token_hex(6).upper()}"
    body: dict[str, Any] = {
        "code": code,
        "type": "standard",
        "status": "active",
        "is_automatic": False,
        "limit": 1,
        "rules": [owner_rule(shopper.customer_id, redemption_id=f"dred_{code}")],
        "application_method": {
            "type": "fixed", "value": VALUE, "target_type": "order", "allocation": "across", "currency_code": "eur",
        },
    }  # fmt: skip
    promotion = merchant.post("/admin/promotions", body)["promotion"]
    cart_id = shopper.new_cart()
    shopper.add(cart_id, world.keys.shirt)
    shopper.apply_code(cart_id, code)
    merchant.delete(f"/admin/promotions/{promotion['id']}")
    assert shopper.cart(cart_id)["promotions"] == [None]
    return cart_id, code


def test_a_dead_code_is_found_and_removed_from_its_cart(world: World, shopper: Storefront, merchant: Merchant) -> None:
    cart_id, code = dead_code(merchant, shopper, world)
    path, held_by = "/admin/dust/codes/withdraw", [{"cart_id": cart_id, "codes": [code]}]

    assert merchant.post(path, {"codes": [code], "dry_run": True}) == {"carts": held_by, "remaining": 1}
    assert shopper.cart(cart_id)["promotions"] == [None]
    assert merchant.post(path, {"codes": [code]}) == {"carts": held_by, "remaining": 0}

    assert_full_price(shopper, cart_id)
    assert merchant.post(path, {"codes": [code]}) == {"carts": [], "remaining": 0}


def test_the_audit_is_clean_afterwards(world: World) -> None:
    world.bridge.audit()
