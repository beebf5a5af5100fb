"""Medusa makes the order first and asks for the payment last: a decline deletes the order, and no event tells of it.

Medusa 2.21.2, core-flows `cart/workflows/complete-cart`: `createOrdersStep` comes before `authorizePaymentSessionStep`,
and its compensation is `deleteOrders`. The use of a promotion is taken back as well (`registerUsageStep`).
"""

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from bridge.clock import now
from bridge.db import transaction
from bridge.inbox.compare_with_medusa import MISSING_FOR
from bridge.inbox.process_batch import process_batch
from bridge.inbox.reconcile import reconcile, store_orders
from bridge.medusa.client import get_medusa
from bridge.operations.audit import audit_medusa
from bridge.programme.rules import Programme
from bridge.programme.versions import add_version
from bridge.redemptions.medusa_sync import advance
from bridge.redemptions.repository import due_redemptions
from bridge.settlement.facts import CHECK_AFTER
from tests.support import tokens
from tests.support.clock import moved
from tests.support.deliveries import deliver
from tests.support.inbox import drain, first_poll, poll
from tests.support.ledger import give
from tests.support.medusa import FakeMedusa
from tests.support.orders import PLACED, line, order, order_event
from tests.support.store_api import FIVE_EUR, figures, redeemed, show
from workers.redemptions import sweep

LOOKS = (CHECK_AFTER, CHECK_AFTER + MISSING_FOR)


def with_code(order_id: str, code: str, *, discount: float = 5, minutes: float = 0) -> dict[str, Any]:
    placed = PLACED + timedelta(minutes=minutes)
    return order(order_id, placed=placed, lines=[line(price=20, discount=discount, code=code)])


@pytest.fixture
def code(api: TestClient, medusa: FakeMedusa) -> str:
    """500 of 800 points are redeemed. The first order uses the code, and only the poll reports it."""
    give(800)
    redemption = redeemed(api, FIVE_EUR)
    complete(medusa, with_code("order_1", redemption["code"]))
    first_poll()
    # What the order earned is 15 of 20 less the 5 that the code took off.
    assert figures(api) == (800 - 500 + 15, 0, 315)
    return str(redemption["code"])


def complete(medusa: FakeMedusa, document: dict[str, Any]) -> None:
    medusa.orders[document["id"]] = document
    for promotion in medusa.promotions.values():
        promotion["used"] = 1


def decline(medusa: FakeMedusa, order_id: str = "order_1") -> None:
    del medusa.orders[order_id]
    for promotion in medusa.promotions.values():
        promotion["used"] = 0


def redemption(api: TestClient) -> dict[str, Any]:
    listed = api.get("/store/dust/redemptions", headers=tokens.customer()).json()["redemptions"][0]
    return show(api, listed["id"])


def try_another_card(api: TestClient, medusa: FakeMedusa, code: str) -> None:
    second = with_code("order_2", code, minutes=5)
    complete(medusa, second)
    deliver(api, order_event(second))
    drain()


@pytest.mark.parametrize("arrives", ["at once", "between the looks", "after it counts as deleted"])
def test_the_second_attempt_uses_the_code(api: TestClient, medusa: FakeMedusa, code: str, arrives: str) -> None:
    decline(medusa)
    if arrives == "at once":
        try_another_card(api, medusa, code)
    with moved(LOOKS[0]):
        poll()
        if arrives == "between the looks":
            try_another_card(api, medusa, code)
    with moved(LOOKS[1]):
        poll()
        if arrives == "after it counts as deleted":
            assert figures(api) == (800, 500, 300)
            assert redemption(api)["state"] == "active"
            try_another_card(api, medusa, code)
        assert figures(api) == (315, 0, 315)
        shown = redemption(api)
        assert (shown["state"], shown["dust_captured"], shown["order_id"]) == ("captured", 500, "order_2")
    with moved(LOOKS[1] + timedelta(minutes=20)):
        # A second poll changes nothing.
        poll()
        assert figures(api) == (315, 0, 315)
        assert redemption(api)["order_id"] == "order_2"


def test_a_shopper_who_gives_up_gets_the_points_back(api: TestClient, medusa: FakeMedusa, code: str) -> None:
    decline(medusa)
    for look in LOOKS:
        with moved(look):
            poll()
    assert figures(api) == (800, 500, 300)
    assert medusa.live_codes() == {code}
    with moved(timedelta(hours=2)):
        sweep()
        advance_all()
        assert figures(api) == (800, 0, 800)
        assert redemption(api)["state"] == "released"
        assert medusa.live_codes() == set()
        assert audit_medusa(get_medusa()) == []


def advance_all() -> None:
    with transaction() as connection:
        due = due_redemptions(connection, now=now() + timedelta(minutes=10), limit=100)
    for redemption_id in due:
        store_orders(advance(redemption_id, get_medusa()).orders)
    while process_batch().taken:
        pass


@pytest.mark.parametrize("second", [True, False], ids=["another card", "gives up"])
def test_a_code_that_expires_before_the_deletion_is_known(
    api: TestClient, medusa: FakeMedusa, code: str, second: bool
) -> None:
    decline(medusa)
    if second:
        try_another_card(api, medusa, code)
    for look in LOOKS:
        with moved(timedelta(hours=2) + look):
            poll()
    with moved(timedelta(hours=3)):
        advance_all()
        poll()
        assert figures(api) == ((315, 0, 315) if second else (800, 0, 800))
        assert redemption(api)["state"] == ("captured" if second else "released")
        if not second:
            assert medusa.live_codes() == set()


def test_what_was_spent_elsewhere_meanwhile_stays_spent(api: TestClient, medusa: FakeMedusa, code: str) -> None:
    """300 of the 315 are gone. 500 come back, and 15 of the deleted order go: exactly what the code needs."""
    give(-300)
    decline(medusa)
    for look in LOOKS:
        with moved(look):
            poll()
    assert figures(api) == (500, 500, 0)
    try_another_card(api, medusa, code)
    assert figures(api) == (15, 0, 15)


def test_refunded_points_pay_a_debt_first(api: TestClient, medusa: FakeMedusa) -> None:
    earning = order("order_0", lines=[line(price=800)])
    medusa.orders["order_0"] = earning
    deliver(api, order_event(earning))
    drain()
    redeemed(api, FIVE_EUR)
    code = redemption(api)["code"]
    complete(medusa, with_code("order_1", code))
    first_poll()
    canceled = order("order_0", version=2, status="canceled", lines=[line(price=800)])
    medusa.orders["order_0"] = canceled
    deliver(api, order_event(canceled, "order.canceled"))
    drain()
    assert figures(api) == (15 - 500, 0, 0)
    decline(medusa)
    for look in LOOKS:
        with moved(look):
            poll()
    # All of it is gone with the order it was earned with: nothing can be held, so the code goes too.
    assert figures(api) == (0, 0, 0)
    assert redemption(api)["state"] == "released"
    with moved(LOOKS[1]):
        advance_all()
    assert medusa.live_codes() == set()


def test_limits_and_tiers_do_not_count_a_deleted_order(api: TestClient, medusa: FakeMedusa) -> None:
    rules = {
        "earn": {"rates": {"eur": "1"}, "limits": {"per_day": 100}},
        "tiers": {"levels": [{"name": "gold", "from": "90", "factor": "2"}]},
    }
    with transaction() as connection:
        add_version(connection, Programme.model_validate(rules), author="test", now=now())
    for order_id, price, minutes in (("order_1", 80, 0), ("order_2", 60, 5)):
        placed = PLACED + timedelta(minutes=minutes)
        medusa.orders[order_id] = order(order_id, placed=placed, lines=[line(price=price)])
    first_poll()
    assert figures(api)[0] == 100
    decline(medusa)
    for look in LOOKS:
        with moved(look):
            poll()
    assert figures(api)[0] == 60
    with moved(timedelta(hours=1)):
        reconcile(get_medusa())
        drain()
        assert figures(api)[0] == 60
