"""`within_balance` waives points that are spent. When the spend gives them back, they are taken."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from bridge.db import transaction
from bridge.ids import CustomerId
from bridge.medusa.client import get_medusa
from bridge.operations.audit import audit
from bridge.redemptions.medusa_sync import advance
from bridge.reports.explain import explain
from tests.support.clock import advance as advance_clock
from tests.support.medusa import FakeMedusa
from tests.support.orders import line, order
from tests.support.referrals import refer
from tests.support.settling import balance, set_rules, settle
from tests.support.store_api import delete, redeemed

pytestmark = pytest.mark.usefixtures("settings")

EARNED = 1000


@pytest.fixture(autouse=True)
def within_balance(settings: Any) -> None:
    set_rules(
        earn={"rates": {"eur": "100"}},
        redeem={"rates": {"eur": "100"}},
        reversal={"negative_balance": "within_balance"},
    )


def earning(version: int = 1, *, returned: int = 0, **more: Any) -> dict[str, Any]:
    """An order of two things for 10.00 in all, which earns 1,000 points."""
    return order("order_earns", version=version, lines=[line(price=5, quantity=2, returned=returned)], **more)


def spending(api: TestClient, order_id: str = "order_spends") -> dict[int, dict[str, Any]]:
    """An order of 10.00 that is paid with 1,000 points, by version: as it is placed, and canceled."""
    code = redeemed(api, {"dust": EARNED, "currency_code": "eur"})["code"]
    lines = [line(price=10, discount=10, code=code)]
    return {
        1: order(order_id, version=1, lines=lines),
        2: order(order_id, version=2, lines=lines, status="canceled"),
    }


def test_points_do_not_survive_the_cancel_of_both_orders(api: TestClient, medusa: FakeMedusa) -> None:
    settle(earning())
    spent = spending(api)
    settle(spent[1])
    settle(earning(2, status="canceled"))
    assert balance().balance == 0

    settle(spent[2])

    assert (balance().balance, balance().available) == (0, 0)
    assert audit() == []


@pytest.mark.parametrize("first", ["order_a", "order_z"])
def test_both_canceled_in_one_batch(api: TestClient, medusa: FakeMedusa, first: str) -> None:
    settle(earning())
    spent = spending(api, first)
    settle(spent[1])
    settle(spent[2], earning(2, status="canceled"))
    assert balance().available == 0


def test_only_what_was_waived_is_taken(api: TestClient, medusa: FakeMedusa) -> None:
    settle(earning())
    spent = spending(api)
    settle(spent[1])
    settle(earning(2, returned=1))
    settle(spent[2])
    assert balance().available == EARNED // 2


def test_points_on_hold_do_not_escape_what_was_waived(api: TestClient, medusa: FakeMedusa) -> None:
    settle(earning())
    spent = spending(api)
    settle(spent[1])
    settle(earning(2, status="canceled"))
    settle(order("order_later", lines=[line(price=5)]))
    held = redeemed(api, {"dust": 500, "currency_code": "eur"})
    settle(order("order_later", version=2, lines=[line(price=5)], status="canceled"))
    assert (balance().balance, balance().held) == (0, 500)

    # 1,000 come back: 500 pay for the order that was canceled while its points were on hold, and 1,000 were waived.
    settle(spent[2])

    assert (balance().balance, balance().held) == (0, 500)
    delete(api, held["id"])
    advance(held["id"], get_medusa())
    assert (balance().balance, balance().available) == (0, 0)


def test_what_is_earned_later_is_not_taken(api: TestClient, medusa: FakeMedusa) -> None:
    settle(earning())
    settle(spending(api)[1])
    settle(earning(2, status="canceled"))
    settle(order("order_later", lines=[line(price=3)]))
    assert balance().available == 300


def test_what_is_earned_later_is_not_taken_when_it_was_spent_and_comes_back(
    api: TestClient, medusa: FakeMedusa
) -> None:
    settle(earning())
    spent = spending(api)
    settle(spent[1])
    settle(earning(2, status="canceled"))
    advance_clock(timedelta(hours=1))
    settle(order("order_later", lines=[line(price=3)]))
    code = redeemed(api, {"dust": 300, "currency_code": "eur"})["code"]
    lines = [line(price=3, discount=3, code=code)]
    settle(order("order_spends_later", lines=lines))
    settle(order("order_spends_later", version=2, lines=lines, status="canceled"))
    assert balance().available == 300

    settle(spent[2])

    assert balance().available == 300


def test_an_order_that_counts_again_gets_its_points_again(api: TestClient, medusa: FakeMedusa) -> None:
    settle(earning())
    spent = spending(api)
    settle(spent[1])
    settle(earning(2, returned=2))
    settle(spent[2])
    assert balance().available == 0
    # Both returns are undone, one after the other.
    settle(earning(3, returned=1))
    assert balance().available == EARNED // 2
    settle(earning(4))
    assert balance().available == EARNED
    with transaction() as connection:
        reported = explain(connection, CustomerId("cus_1"))
    assert any("taken back as they came back" in step.sentence for step in reported.steps)
    assert any("given again" in step.sentence for step in reported.steps)


def test_a_waiver_that_no_refund_paid_is_forgiven_when_the_order_counts_again(
    api: TestClient, medusa: FakeMedusa
) -> None:
    settle(earning())
    spent = spending(api)
    settle(spent[1])
    settle(earning(2, returned=1))
    settle(earning(3))
    assert balance().available == 0, "all of it is spent"
    settle(spent[2])
    assert balance().available == EARNED


def test_a_referral_bonus_does_not_survive_either(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(
        earn={"rates": {"eur": "100"}},
        bonuses={"referral": {"referrer": EARNED, "referred": 0}},
        redeem={"rates": {"eur": "100"}},
        reversal={"negative_balance": "within_balance"},
    )
    refer(api, new="cus_new", by="cus_1")
    settle(order("order_new", customer_id="cus_new", payment_status="captured"))
    assert balance().available == EARNED
    spent = spending(api)
    settle(spent[1])
    settle(order("order_new", customer_id="cus_new", version=2, status="canceled"))
    settle(spent[2])
    assert balance().available == 0


def overspent(api: TestClient) -> dict[int, dict[str, Any]]:
    """An order that was paid with 1,000 points of an order that was canceled meanwhile: the balance is -1,000."""
    settle(earning())
    spent = spending(api)
    settle(earning(2, status="canceled"))
    settle(spent[1])
    assert balance().balance == -EARNED
    return spent


def later(name: str, version: int = 1, **more: Any) -> dict[str, Any]:
    """Another order that earns 1,000 points."""
    return order(f"order_{name}", version=version, lines=[line(f"line_{name}", price=10)], **more)


@pytest.mark.parametrize("orders", [["b"], ["b", "c"], ["c", "b"]])
def test_a_debt_is_owed_again_when_the_order_that_paid_it_is_canceled(
    api: TestClient, medusa: FakeMedusa, orders: list[str]
) -> None:
    overspent(api)
    for name in orders:
        settle(later(name))
    for name in sorted(orders):
        settle(later(name, 2, status="canceled"))
    assert balance().balance == -EARNED


def test_points_that_were_there_when_they_were_spent_are_waived_beside_a_paid_debt(
    api: TestClient, medusa: FakeMedusa
) -> None:
    overspent(api)
    settle(later("b"), later("c"))
    spent = spending(api, "order_spends_later")
    settle(spent[1])
    settle(later("c", 2, status="canceled"))
    assert balance().balance == 0
    settle(later("b", 2, status="canceled"))
    assert balance().balance == -EARNED

    settle(spent[2])

    assert balance().balance == -EARNED


def test_nothing_is_owed_when_the_order_that_took_the_balance_below_zero_is_canceled(
    api: TestClient, medusa: FakeMedusa
) -> None:
    spent = overspent(api)
    settle(later("b"))
    settle(later("b", 2, status="canceled"))
    settle(spent[2])
    assert (balance().balance, balance().available) == (0, 0)
