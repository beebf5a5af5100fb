"""A draft that was created long ago and becomes an order today: its points count from today."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.support.aftersales import AfterSales
from tests.support.live_worlds import World, in_both_shops

pytestmark = [pytest.mark.live, in_both_shops]

AGE = timedelta(days=40)
# Medusa and Dust share a clock, and each step takes seconds.
SOON = timedelta(minutes=10)


def placed_at(world: World, order_id: str) -> datetime:
    """The time from which Dust counts the order."""
    with psycopg.connect(world.bridge.database) as connection:
        row = connection.execute("SELECT placed_at FROM order_settlement WHERE order_id = %s", [order_id]).fetchone()
    assert row, order_id
    return row[0].astimezone(UTC)


def test_a_draft_counts_from_the_moment_in_which_it_becomes_an_order(world: World) -> None:
    merchant = AfterSales(world.keys)
    with world.shopper() as customer:
        order_id = merchant.draft(customer, (world.keys.shirt, 2))
        began = datetime.now(UTC) - AGE
        with psycopg.connect(world.shop.environment["DATABASE_URL"]) as connection:
            connection.execute('UPDATE "order" SET created_at = %s WHERE id = %s', [began, order_id])
        assert merchant.order(order_id)["is_draft_order"] is True

        merchant.place_draft(order_id)

        world.bridge.wait_for_balance(customer.customer_id, world.earns(shirt=2))
        shown = merchant.order(order_id)
        assert shown["is_draft_order"] is False
        assert datetime.fromisoformat(shown["created_at"]) - began < SOON, "Medusa keeps the day on which it was begun"
        placed = placed_at(world, order_id)
        assert datetime.now(UTC) - placed < SOON
        world.bridge.ask("POST", "/admin/dust/reconcile", {"since": began.isoformat()})
        assert placed_at(world, order_id) == placed
    merchant.close()
