"""Nothing is lost: a Dust that is away for minutes, a Medusa that is killed meanwhile, with either event bus."""

import os
import time
from collections.abc import Iterator

import pytest

from bridge.demo.people import Storefront
from bridge.stack.processes import until
from tests.live.conftest import World

pytestmark = pytest.mark.live

# At least so long is Dust away: as long as fifty checkouts take, and then the rest of this. Tried with 300 as well.
OUTAGE_SECONDS = float(os.environ.get("OUTAGE_SECONDS", "60"))
ORDERS = 50
SHOPPERS = 5
# The longest pause between two attempts is a minute.
CATCH_UP_SECONDS = 150


@pytest.fixture(params=["world", "redis_world"], ids=["default-bus", "redis-bus"])
def either_world(request: pytest.FixtureRequest) -> World:
    found: World = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def shoppers(either_world: World) -> Iterator[list[Storefront]]:
    people = [Storefront(either_world.keys) for _ in range(SHOPPERS)]
    for person in people:
        person.register()
    yield people
    for person in people:
        person.close()


@pytest.mark.timeout(OUTAGE_SECONDS + 600)
def test_fifty_orders_arrive_once_each_although_dust_is_away_and_medusa_is_killed_twice(
    either_world: World, shoppers: list[Storefront]
) -> None:
    world, orders = either_world, list[str]()
    began = time.monotonic()

    with world.bridge.away():
        for number in range(ORDERS):
            if number in (ORDERS // 3, 2 * ORDERS // 3):
                # What Medusa's memory still holds dies with it; that it is not much is another test's concern.
                assert until(lambda: world.shop.keeps(orders), 30)
                world.shop.kill()
                world.shop.start()
            orders.append(shoppers[number % SHOPPERS].buy((world.keys.shirt, 1)))
        time.sleep(max(0.0, OUTAGE_SECONDS - (time.monotonic() - began)))

    # Ten orders of a shirt for 10.00 each, and a dust for a euro.
    for shopper in shoppers:
        world.bridge.wait_for_balance(shopper.customer_id, 100, CATCH_UP_SECONDS)
        history = shopper.ask("GET", "/store/dust/transactions?limit=100")["transactions"]
        assert sorted(row["reference_id"] for row in history) == sorted(orders[shoppers.index(shopper) :: SHOPPERS])
    world.bridge.audit()


def test_a_medusa_that_is_killed_between_an_order_and_its_event_is_made_good_by_reconcile(
    either_world: World, shoppers: list[Storefront]
) -> None:
    world, shopper = either_world, shoppers[0]
    with world.shop.holding_events():
        order_id = shopper.buy((world.keys.shirt, 2))
        world.shop.kill()
    assert not world.shop.keeps([order_id])
    world.shop.start()

    world.bridge.ask("POST", "/admin/dust/reconcile", {})

    world.bridge.wait_for_balance(shopper.customer_id, 20)
    history = shopper.ask("GET", "/store/dust/transactions")["transactions"]
    assert [row["reference_id"] for row in history] == [order_id]
