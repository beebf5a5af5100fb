"""A draft counts from the time when it becomes an order, not from the time when it was created."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from bridge.db import transaction
from bridge.inbox.process_batch import process_batch
from bridge.inbox.process_one import process_event
from bridge.settlement.escrow import due_escrows, expire_escrows
from tests.support import tokens
from tests.support.deliveries import deliver
from tests.support.medusa import FakeMedusa
from tests.support.orders import PLACED, event, line, order, order_event
from tests.support.referrals import refer, set_referral_bonus
from tests.support.settling import balance, set_rules, settle

pytestmark = pytest.mark.usefixtures("settings")

BEGUN = PLACED - timedelta(days=40)


def draft(**more: Any) -> dict[str, Any]:
    return {**order(placed=BEGUN, **more), "is_draft_order": True, "status": "draft"}


def converted(at: datetime = PLACED, *, version: int = 2, **more: Any) -> dict[str, Any]:
    """Converting moves `updated_at` and keeps `created_at`. Nothing in the order says that it was a draft."""
    return order(placed=BEGUN, updated=at, version=version, **more)


def deliver_order(api: TestClient, document: dict[str, Any], kind: str = "order.placed", at: datetime = PLACED) -> None:
    deliver(api, event(kind, {"id": document["id"], "order": document}, at)).raise_for_status()
    process_batch()


def placed_at() -> datetime:
    with transaction() as connection:
        placed: datetime = connection.exec_driver_sql("SELECT placed_at FROM order_settlement").scalar_one()
    return placed


@pytest.mark.parametrize("by", ["category", "collection"])
def test_a_product_that_was_deleted_first_keeps_what_its_category_excludes(
    api: TestClient, medusa: FakeMedusa, by: str
) -> None:
    excluded = {"excluded_category_ids": ["pcat_1"]} if by == "category" else {"excluded_collection_ids": ["pcol_1"]}
    set_rules(earn={"rates": {"eur": "1"}, **excluded})
    gone, kept = line("ordli_1", product_id="prod_gone"), line("ordli_2", product_id="prod_kept", price=3)
    document = order(lines=[gone | {"product": None}, kept])
    medusa.orders[document["id"]] = document
    medusa.deleted_products["prod_gone"] = {
        "id": "prod_gone",
        "collection_id": "pcol_1",
        "categories": [{"id": "pcat_1"}],
    }
    deliver(api, order_event(document), event_id="msg_1").raise_for_status()
    process_batch()
    process_event("msg_1")
    assert balance().balance == 3


def test_the_event_says_when_a_draft_was_placed(api: TestClient) -> None:
    set_rules(earn={"expires_after_days": 30})
    deliver_order(api, converted())
    assert placed_at() == PLACED
    (expiring,) = balance().expiring
    assert expiring.expires_at > PLACED + timedelta(days=30)


def test_a_known_draft_is_placed_when_its_facts_first_show_an_order(api: TestClient) -> None:
    deliver_order(api, draft(), "order.updated", BEGUN)
    # The event is lost; the poll brings the order.
    deliver_order(api, converted(), "order.updated")
    assert placed_at() == PLACED


def test_a_draft_and_its_order_in_one_batch() -> None:
    settle(draft(), converted())
    assert placed_at() == PLACED


def test_the_time_of_placement_does_not_change(api: TestClient) -> None:
    deliver_order(api, converted())
    later = PLACED + timedelta(hours=20)
    deliver_order(api, converted(later, version=3), "order.updated", later)
    deliver_order(api, converted(later, version=4), at=later)
    deliver_order(api, converted())
    assert placed_at() == PLACED


@pytest.mark.parametrize("late", [timedelta(0), timedelta(minutes=5)])
def test_an_ordinary_order_was_placed_when_it_was_made(api: TestClient, late: timedelta) -> None:
    # Its event is processed late, and its snapshot is newer.
    deliver_order(api, order(updated=PLACED + timedelta(hours=20)), at=PLACED + late)
    assert placed_at() == PLACED


def test_an_old_order_whose_event_is_sent_again_was_placed_when_it_was_made(api: TestClient) -> None:
    deliver_order(api, order(placed=BEGUN), at=PLACED)
    assert placed_at() == BEGUN


def test_multipliers_limits_and_tiers_use_the_time_of_placement(api: TestClient) -> None:
    week = {"starts_at": (PLACED - timedelta(days=3)).isoformat(), "ends_at": (PLACED + timedelta(days=3)).isoformat()}
    set_rules(
        earn={"multipliers": [{"name": "double week", "factor": "2", **week}], "limits": {"per_day": 25}},
        tiers={"window_days": 7, "levels": [{"name": "gold", "from": 20, "factor": "1.5"}]},
    )
    deliver_order(api, converted())
    assert balance().balance == 20
    # It made the customer gold, and left 5 points of the daily limit.
    settle(order("order_2", placed=PLACED + timedelta(minutes=1), lines=[line("line_2")]))
    with transaction() as connection:
        query = "SELECT worth, booked FROM order_settlement WHERE order_id = 'order_2'"
        assert tuple(connection.exec_driver_sql(query).one()) == (30, 5)


def test_a_guests_escrow_starts_at_the_time_of_placement(api: TestClient) -> None:
    set_rules(guests={"escrow_days": 30})
    deliver_order(api, converted(guest=True))
    with transaction() as connection:
        row = connection.exec_driver_sql("SELECT state, expires_at FROM guest_escrow").one()
    assert tuple(row) == ("waiting", PLACED + timedelta(days=30))


def test_the_escrow_of_a_known_guest_draft_starts_at_the_time_of_placement(api: TestClient) -> None:
    set_rules(guests={"escrow_days": 5})
    deliver_order(api, draft(guest=True), "order.updated", BEGUN)
    with transaction() as connection:
        expire_escrows(connection, due_escrows(connection, now=PLACED, limit=10), now=PLACED)
    deliver_order(api, converted(guest=True))
    with transaction() as connection:
        row = connection.exec_driver_sql("SELECT state, expires_at, dust FROM guest_escrow").one()
    assert tuple(row) == ("waiting", PLACED + timedelta(days=5), 10)


@pytest.mark.usefixtures("medusa")
def test_a_draft_does_not_count_as_a_first_order(api: TestClient) -> None:
    set_referral_bonus()
    deliver_order(api, draft(customer_id="cus_new"), "order.updated", BEGUN)
    refer(api)


def test_a_product_that_is_gone_keeps_its_setting_for_orders_from_before(api: TestClient) -> None:

    setting = {"dust_only": True, "dust_price": 5}
    api.put("/admin/dust/products/prod_mug", json=setting, headers=tokens.admin()).raise_for_status()
    deliver(api, event("product.deleted", {"id": "prod_mug"})).raise_for_status()
    process_batch()
    assert api.get("/admin/dust/products/prod_mug", headers=tokens.admin()).status_code == 404
    assert api.get("/store/dust/products", params={"product_id": "prod_mug"}).json()["products"] == {}
    settle(order(lines=[line(product_id="prod_mug", price=30), line("line_2", price=7)]))
    assert balance().balance == 7
