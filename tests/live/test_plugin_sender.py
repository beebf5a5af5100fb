"""The plugin's sender in a real Medusa: what it delivers to the bridge, and what it does while the bridge is away."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from bridge.development.demo.people import Merchant, Storefront
from bridge.development.demo.seed import ShopKeys
from bridge.development.demo.shop import Shop
from bridge.development.stack.processes import until
from bridge.setting_types import webhook_key
from bridge.webhooks.signature import verify
from tests.support.live_worlds import WEBHOOK_SECRET, Delivery, StandIn

pytestmark = pytest.mark.live


def about(order_id: str, event: str) -> Callable[[Delivery], bool]:
    def matches(delivery: Delivery) -> bool:
        message = json.loads(delivery.body)
        data = message["data"]
        return message["type"] == event and order_id in {data.get("id"), data.get("order_id")}

    return matches


def verified(delivery: Delivery) -> str:
    """Verify the delivery as the endpoint does. Returns its id."""
    key = webhook_key(SecretStr(WEBHOOK_SECRET))
    return verify(delivery.headers, delivery.body, [key], now=datetime.now(UTC))


def comparable(order: dict[str, Any]) -> dict[str, Any]:
    """The order with sorted lists, because Medusa returns them in any sequence."""
    by_id = {name: sorted(rows, key=lambda row: row["id"]) for name, rows in order.items() if isinstance(rows, list)}
    return {**order, **by_id}


def wait_for_undelivered(merchant: Merchant, wanted: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Wait for an `order.placed` in the plugin's outbox that matches, and return it."""
    matching: list[dict[str, Any]] = []

    def look() -> bool:
        undelivered = merchant.get("/admin/dust/deliveries")["undelivered"]
        matching.extend(event for event in undelivered if event["type"] == "order.placed" and wanted(event))
        return bool(matching)

    assert until(look, 30), "no such event in the outbox"
    return matching[0]


def test_an_order_arrives_signed_with_a_snapshot_as_the_admin_api_gives_it(
    storefront: Storefront, merchant: Merchant, stand_in: StandIn, keys: ShopKeys
) -> None:
    order_id = storefront.buy((keys.shirt, 2), (keys.hoodie, 1))

    delivery = stand_in.wait_for(about(order_id, "order.placed"))

    assert delivery.path == "/webhooks/medusa"
    assert verified(delivery).startswith("msg_")
    message = json.loads(delivery.body)
    assert message["timestamp"].endswith("Z")
    assert comparable(message["data"]["order"]) == comparable(merchant.order(order_id))


def test_a_payment_event_names_its_order_and_brings_its_newest_state(
    storefront: Storefront, merchant: Merchant, stand_in: StandIn, keys: ShopKeys
) -> None:
    order_id = storefront.buy((keys.shirt, 1))

    merchant.capture(order_id)

    data = json.loads(stand_in.wait_for(about(order_id, "payment.captured")).body)["data"]
    assert data["id"].startswith("pay_")
    assert data["order"]["id"] == order_id
    assert data["order"]["payment_status"] == "captured"


def test_a_return_and_a_cancel_arrive_with_the_order(
    storefront: Storefront, merchant: Merchant, stand_in: StandIn, keys: ShopKeys
) -> None:
    returned, canceled = storefront.buy((keys.shirt, 2)), storefront.buy((keys.shorts, 1))
    merchant.fulfil(returned)

    merchant.take_back(returned, keys.shirt, 1)
    merchant.cancel(canceled)

    after_return = json.loads(stand_in.wait_for(about(returned, "order.return_received")).body)["data"]
    assert after_return["order"]["item_total"] == 12.5
    assert comparable(after_return["order"]) == comparable(merchant.order(returned))
    after_cancel = json.loads(stand_in.wait_for(about(canceled, "order.canceled")).body)["data"]
    assert after_cancel["order"]["status"] == "canceled"


def test_a_new_customer_arrives_without_an_order(storefront: Storefront, stand_in: StandIn) -> None:
    delivery = stand_in.wait_for(about(storefront.customer_id, "customer.created"))

    assert json.loads(delivery.body)["data"] == {"id": storefront.customer_id}


def test_while_the_bridge_is_away_checkout_goes_on_and_the_event_arrives_later(
    storefront: Storefront, merchant: Merchant, stand_in: StandIn, keys: ShopKeys
) -> None:
    with stand_in.away():
        order_id = storefront.buy((keys.shirt, 1))
        waiting = merchant.get("/admin/dust/deliveries")
        assert waiting["waiting"] >= 1

    assert verified(stand_in.wait_for(about(order_id, "order.placed")))


def test_an_event_survives_a_medusa_that_is_killed_between_two_attempts(
    shop: Shop, storefront: Storefront, merchant: Merchant, stand_in: StandIn, keys: ShopKeys
) -> None:
    with stand_in.answering(503):
        order_id = storefront.buy((keys.shirt, 1))
        wait_for_undelivered(merchant, lambda event: event["last_error"] and event["last_error"].startswith("503 "))
        shop.kill()
    shop.start()

    assert verified(stand_in.wait_for(about(order_id, "order.placed")))


def test_an_event_survives_a_medusa_that_is_killed_while_the_bridge_keeps_it_waiting(
    shop: Shop, storefront: Storefront, merchant: Merchant, stand_in: StandIn, keys: ShopKeys
) -> None:
    with stand_in.silent():
        order_id = storefront.buy((keys.shirt, 1))
        wait_for_undelivered(merchant, lambda event: event["attempts"] >= 1)
        shop.kill()
    shop.start()

    # The lease of the killed process expires after half a minute.
    delivery = stand_in.wait_for(about(order_id, "order.placed"), seconds=60)
    same = [d for d in stand_in.deliveries if d.headers["webhook-id"] == delivery.headers["webhook-id"]]
    assert len(same) == 1


def test_a_bridge_that_hangs_delays_neither_checkout_nor_shutdown(
    shop: Shop, storefront: Storefront, merchant: Merchant, stand_in: StandIn, keys: ShopKeys
) -> None:
    with stand_in.silent():
        order_id = storefront.buy((keys.shirt, 1))
        wait_for_undelivered(merchant, lambda event: event["attempts"] >= 1)
        before = time.monotonic()
        shop.stop()
        # An attempt waits ten seconds for an answer.
        assert time.monotonic() - before < 8
    shop.start()

    assert verified(stand_in.wait_for(about(order_id, "order.placed")))


def test_an_event_that_the_bridge_rejects_does_not_delay_the_others(
    storefront: Storefront, merchant: Merchant, stand_in: StandIn, keys: ShopKeys
) -> None:
    with stand_in.answering(400):
        refused = storefront.buy((keys.shirt, 1))
        rejected = wait_for_undelivered(merchant, lambda event: event["state"] == "rejected")
    accepted = storefront.buy((keys.shirt, 1))

    stand_in.wait_for(about(accepted, "order.placed"))
    assert rejected["last_error"].startswith("400 ")
    assert not any(about(refused, "order.placed")(delivery) for delivery in stand_in.deliveries)

    which = {"state": "rejected", "type": "order.placed"}
    waiting = merchant.get("/admin/dust/deliveries", state="waiting", type="order.placed")
    assert rejected["id"] not in [event["id"] for event in waiting["undelivered"]]
    listed = merchant.get("/admin/dust/deliveries", **which)
    assert [event["id"] for event in listed["undelivered"]].count(rejected["id"]) == 1
    assert merchant.post("/admin/dust/deliveries/retry", which) == {"retried": listed["found"]}
    assert verified(stand_in.wait_for(about(refused, "order.placed"))) == rejected["id"]
