"""A payment is declined after the order was created: Medusa deletes the order without an event (2.21.2)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from bridge.clock import now
from bridge.development.demo.people import Json, Merchant, Refused, Storefront
from bridge.development.stack.processes import until
from bridge.inbox.compare_with_medusa import MISSING_FOR
from tests.support.live_worlds import PATIENCE_SECONDS, World, region_takes

pytestmark = pytest.mark.live

GIVEN = 800
SPENT = 500
POINTS_PER_EURO = 100
# Long enough for a poll to find the order and for a worker to settle it.
DECLINE_AFTER_MS = 20_000


@pytest.fixture
def merchant(world: World) -> Iterator[Merchant]:
    person = Merchant(world.keys)
    with region_takes(person, world.keys, "pp_declining_test"):
        yield person
    person.close()


def choose_payment(shopper: Storefront, cart_id: str, provider: str, data: Json | None = None) -> None:
    collection = shopper.ask("POST", "/store/payment-collections", {"cart_id": cart_id})["payment_collection"]
    path = f"/store/payment-collections/{collection['id']}/payment-sessions"
    shopper.ask("POST", path, {"provider_id": provider, "data": data or {}})


def redemption(shopper: Storefront, redemption_id: str) -> Json:
    return dict(shopper.ask("GET", f"/store/dust/redemptions/{redemption_id}")["redemption"])


def poll(world: World) -> None:
    world.bridge.ask("POST", "/admin/dust/reconcile", {})


def poll_later(world: World, order_id: str) -> None:
    """Poll as if the time until the order's next comparison had passed."""
    with psycopg.connect(world.bridge.database) as connection:
        connection.execute(
            "UPDATE order_settlement SET check_at = %(now)s, missing_since = missing_since - %(by)s"
            " WHERE order_id = %(order_id)s",
            {"now": now(), "by": MISSING_FOR, "order_id": order_id},
        )
    poll(world)


@pytest.mark.parametrize("second_card", [True, False], ids=["the second card works", "the shopper gives up"])
def test_a_declined_order_earns_and_spends_nothing(world: World, merchant: Merchant, second_card: bool) -> None:
    with world.shopper() as shopper, ThreadPoolExecutor(1) as browser:
        world.bridge.give(shopper.customer_id, GIVEN)
        cart_id = shopper.new_cart()
        shopper.add(cart_id, world.keys.shirt, 2)
        shopper.choose_shipping(cart_id)
        redeemed = world.redeem(shopper, {"cart_id": cart_id, "dust": SPENT})
        choose_payment(shopper, cart_id, "pp_declining_test", {"decline_after_ms": DECLINE_AFTER_MS})

        first = browser.submit(shopper.complete, cart_id)
        [order_id] = until_orders(merchant, shopper)
        # At this moment the order looks like any other.
        poll(world)
        assert until(lambda: redemption(shopper, redeemed["id"])["state"] == "captured", PATIENCE_SECONDS)
        assert redemption(shopper, redeemed["id"])["order_id"] == order_id
        with pytest.raises(Refused):
            first.result()
        assert orders_of(merchant, shopper) == []

        if second_card:
            choose_payment(shopper, cart_id, "pp_system_default")
            second = shopper.complete(cart_id)

        def shown_after_a_poll() -> Json:
            poll_later(world, order_id)
            return redemption(shopper, redeemed["id"])

        if second_card:
            assert until(lambda: shown_after_a_poll()["order_id"] == second, PATIENCE_SECONDS)
            poll(world)
            assert redemption(shopper, redeemed["id"])["state"] == "captured"
            earned = world.earns(shirt=2, off=SPENT // POINTS_PER_EURO)
            world.bridge.wait_for_balance(shopper.customer_id, GIVEN - SPENT + earned)
        else:
            assert until(lambda: shown_after_a_poll()["state"] == "active", PATIENCE_SECONDS)
            world.bridge.wait_for_balance(shopper.customer_id, GIVEN)
            shopper.ask("DELETE", f"/store/dust/redemptions/{redeemed['id']}")
            assert until(lambda: redemption(shopper, redeemed["id"])["state"] == "released", PATIENCE_SECONDS)
            assert shopper.ask("GET", "/store/dust/balance")["available"] == GIVEN
    world.bridge.audit()


def orders_of(merchant: Merchant, shopper: Storefront) -> list[str]:
    return [order["id"] for order in merchant.get("/admin/orders", customer_id=shopper.customer_id)["orders"]]


def until_orders(merchant: Merchant, shopper: Storefront) -> list[str]:
    assert until(lambda: orders_of(merchant, shopper), PATIENCE_SECONDS)
    return orders_of(merchant, shopper)
