"""Explanations and the liability, read back from the books."""

import random
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from bridge.clock import moved, now
from bridge.db import transaction
from bridge.medusa.orders import read_order
from bridge.reports import Liability, liability
from bridge.settlement.settle import settle_orders
from tests.support import tokens
from tests.support.medusa import FakeMedusa
from tests.support.orders import line, order


def settle(document: dict[str, Any]) -> None:
    with transaction() as connection:
        settle_orders(connection, [read_order(document)], now=now())


def report(at: Any) -> Liability:
    with transaction() as connection:
        return liability(connection, at)


@pytest.mark.usefixtures("settings")
def test_liability_at_any_past_moment_is_what_was_recorded_then() -> None:
    dice = random.Random(7)
    recorded = []
    for step in range(40):
        with moved(timedelta(hours=step)):
            customer, number = f"cus_{dice.randrange(6)}", dice.randrange(12)
            lines = [line(quantity=9, returned=dice.randrange(9))]
            settle(order(f"order_{customer}_{number}", customer_id=customer, version=step + 1, lines=lines))
            recorded.append(report(now()))
    assert all(each.adds_up for each in recorded)
    for then in dice.sample(recorded, 20):
        assert report(then.at) == then
    assert recorded[-1].outstanding > 0


def test_the_liability_is_served_in_dust_and_money(api: TestClient) -> None:
    settle(order(lines=[line(price=250)]))
    answer = api.get("/admin/dust/reports/liability", headers=tokens.admin()).json()
    assert (answer["outstanding"], answer["value"], answer["adds_up"]) == (250, {"eur": "2.50"}, True)
    before = api.get("/admin/dust/reports/liability?at=2020-01-01T00:00:00Z", headers=tokens.admin()).json()
    assert (before["outstanding"], before["customers"]) == (0, 0)


def test_every_row_is_explained_in_a_sentence_with_rule_and_lot(api: TestClient, medusa: FakeMedusa) -> None:
    rules = {"earn": {"rates": {"eur": "2"}, "expires_after_days": 30}}
    api.put("/admin/dust/programme", json=rules, headers=tokens.admin())
    settle(order(placed=now()))
    settle(order(placed=now() - timedelta(hours=1), version=2, status="canceled"))
    answer = api.get("/admin/dust/customers/cus_1/explain", headers=tokens.admin()).json()
    earned, reversed_ = answer["steps"]
    assert "20 dust earned with order order_1 (rules version 1: 2 for each eur)" in earned["sentence"]
    assert earned["lots"][0]["dust"] == 20
    assert earned["lots"][0]["expires_at"] is not None
    assert "20 dust taken back for order order_1: Order canceled" in reversed_["sentence"]
    assert answer["summary"] == ["Your balance is 0 dust, of which you may spend 0."]
