"""No event is lost while Dust is away for five minutes and Medusa is killed, with either event bus."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import psycopg
import pytest

from bridge.development.demo.people import Merchant, Storefront
from bridge.development.demo.shop import Shop
from bridge.development.stack.processes import until
from tests.support.live_worlds import World

pytestmark = pytest.mark.live

# Dust is away at least this long, for both shops concurrently; this includes placing the orders.
OUTAGE_SECONDS = float(os.environ.get("OUTAGE_SECONDS", "300"))
ORDERS = 50
KILLED_BEFORE = (ORDERS // 3, 2 * ORDERS // 3)
SHOPPERS = 5
# The longest pause between two attempts is a minute.
CATCH_UP_SECONDS = 180


@contextmanager
def holding_events(shop: Shop) -> Iterator[None]:
    """Inside the block nothing is written to the plugin's outbox: events wait in Medusa's event bus.

    Inserts that still wait at the end are aborted. So a Medusa that is killed in the block dies between an order and
    its event, also if Postgres has not detected the closed connection yet.
    """
    with psycopg.connect(shop.environment["DATABASE_URL"]) as connection:
        connection.execute("LOCK TABLE dust_outbox IN EXCLUSIVE MODE")
        yield
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        )


def keeps(shop: Shop, order_ids: list[str]) -> bool:
    """Whether the plugin's outbox has an `order.placed` of each of these orders, sent or not."""
    with psycopg.connect(shop.environment["DATABASE_URL"]) as connection:
        query = "SELECT DISTINCT data->>'id' FROM dust_outbox WHERE type = 'order.placed' AND data->>'id' = ANY(%s)"
        return len(connection.execute(query, [order_ids]).fetchall()) == len(set(order_ids))


@dataclass(kw_only=True)
class Day:
    """A shop during the outage: its shoppers in turn buy a shirt each."""

    world: World
    shoppers: list[Storefront]
    orders: list[str] = field(default_factory=list)

    def place_order(self) -> None:
        shopper = self.shoppers[len(self.orders) % SHOPPERS]
        self.orders.append(shopper.buy((self.world.keys.shirt, 1)))

    def kill_medusa(self) -> None:
        # Events that are only in Medusa's memory are lost with it; another test covers how many.
        assert until(lambda: keeps(self.world.shop, self.orders), 30)
        self.world.shop.kill()

    def check(self) -> None:
        """Each shopper has points of exactly ten orders of a shirt for 10.00, at a point for a euro."""
        for number, shopper in enumerate(self.shoppers):
            self.world.bridge.wait_for_balance(shopper.customer_id, 10 * ORDERS // SHOPPERS, CATCH_UP_SECONDS)
            history = shopper.ask("GET", "/store/dust/transactions?limit=100")["transactions"]
            assert sorted(row["reference_id"] for row in history) == sorted(self.orders[number::SHOPPERS])
        self.world.bridge.audit()


@contextmanager
def signed_in(world: World, number: int) -> Iterator[list[Storefront]]:
    with ExitStack() as stack:
        yield [stack.enter_context(world.shopper()) for _ in range(number)]


@pytest.fixture(params=["world", "redis_world"], ids=["default-bus", "redis-bus"])
def either_world(request: pytest.FixtureRequest) -> World:
    world: World = request.getfixturevalue(request.param)
    return world


@pytest.mark.timeout(OUTAGE_SECONDS + 900)
def test_fifty_orders_arrive_once_each_although_dust_is_away_and_medusa_is_killed_twice(
    world: World, redis_world: World
) -> None:
    """With Medusa's default event bus and with Redis, in one outage of five minutes for both."""
    with ExitStack() as stack:
        days = [
            Day(world=either_world, shoppers=stack.enter_context(signed_in(either_world, SHOPPERS)))
            for either_world in (world, redis_world)
        ]
        both = stack.enter_context(ThreadPoolExecutor(len(days)))
        with world.bridge.away(), redis_world.bridge.away():
            began = time.monotonic()
            for number in range(ORDERS):
                if number in KILLED_BEFORE:
                    # In this thread: a process ends with the thread that started it.
                    for day in days:
                        day.kill_medusa()
                    for day in days:
                        day.world.shop.start()
                list(both.map(Day.place_order, days))
            time.sleep(max(0.0, OUTAGE_SECONDS - (time.monotonic() - began)))
        for day in days:
            assert len(set(day.orders)) == ORDERS
            day.check()


def test_reconcile_finds_the_order_of_a_medusa_killed_before_its_event(
    either_world: World,
) -> None:
    world = either_world
    with world.shopper() as shopper:
        with holding_events(world.shop):
            order_id = shopper.buy((world.keys.shirt, 2))
            world.shop.kill()
        assert not keeps(world.shop, [order_id])
        world.shop.start()

        world.bridge.ask("POST", "/admin/dust/reconcile", {})

        world.bridge.wait_for_balance(shopper.customer_id, 20)
        history = shopper.ask("GET", "/store/dust/transactions")["transactions"]
        assert [row["reference_id"] for row in history] == [order_id]


@pytest.mark.timeout(900)
def test_two_processes_of_one_medusa_send_each_event_with_one_effect_though_one_is_killed(redis_world: World) -> None:
    world, shop = redis_world, redis_world.shop
    # As behind a load balancer.
    twin = Shop(shop.server, environment=shop.environment, log=shop.log.with_suffix(".twin.log"))
    twin.start()
    with ExitStack() as stack:
        stack.callback(twin.stop)
        shopper = stack.enter_context(world.shopper())
        merchant = Merchant(world.keys)
        stack.callback(merchant.close)
        neighbour = Storefront(replace(world.keys, url=twin.url))
        stack.callback(neighbour.close)
        neighbour.register()
        orders: dict[str, list[str]] = {shopper.customer_id: [], neighbour.customer_id: []}

        def buy() -> None:
            for person in (shopper, neighbour, shopper, neighbour):
                orders[person.customer_id].append(person.buy((world.keys.shirt, 1)))

        def kept() -> bool:
            return keeps(world.shop, [order_id for placed in orders.values() for order_id in placed])

        with world.bridge.away():
            buy()
            # Both instances send stored events; each takes those that the other has not leased.
            assert until(kept, 60)
        for customer_id in orders:
            world.bridge.wait_for_balance(customer_id, 20, CATCH_UP_SECONDS)
        with world.bridge.away():
            buy()
            assert until(kept, 60)
            # Its leases expire half a minute later.
            twin.kill()
        for customer_id in orders:
            world.bridge.wait_for_balance(customer_id, 40, CATCH_UP_SECONDS)

        def waiting() -> int:
            return int(merchant.get("/admin/dust/deliveries")["waiting"])

        assert until(lambda: waiting() == 0, CATCH_UP_SECONDS), waiting()
        for customer_id, placed in orders.items():
            booked = world.bridge.ask("GET", f"/admin/dust/customers/{customer_id}/transactions")["transactions"]
            assert sorted(row["reference_id"] for row in booked) == sorted(placed)
