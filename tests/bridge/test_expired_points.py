"""Expired points are not taken a second time, and the result does not depend on when sweeps run."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from bridge.clock import now
from tests.support.clock import moved
from tests.support.ledger import capture, end_of_day, hold, lots, post_due, refund, release, spend
from tests.support.medusa import FakeMedusa
from tests.support.orders import PLACED, line, order
from tests.support.referrals import bought, refer
from tests.support.settling import balance, order_of, set_rules, settle

pytestmark = pytest.mark.usefixtures("settings")

DAYS = 30
POLICIES = ("allow", "within_balance")


def have_rules(policy: str = "allow", **more: Any) -> None:
    set_rules(
        earn={"rates": {"eur": "100"}, "expires_after_days": DAYS, **more},
        reversal={"negative_balance": policy},
    )


@pytest.fixture(params=[True, False], ids=["swept", "not swept"])
def swept(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_return_takes_nothing_that_has_expired(policy: str, swept: bool) -> None:
    have_rules(policy)
    settle(order_of("cus_1", 1))
    with moved(timedelta(days=DAYS + 10)):
        if swept:
            post_due()
        settle(order_of("cus_1", 2, price=5))
        assert balance().balance == 0
        settle(order_of("cus_1", 3, price=0))
        assert balance().balance == 0
        settle(order_of("cus_1", 4))
        post_due()
        assert balance().balance == 0


@pytest.mark.parametrize(
    ("price", "left"),
    # 600 of 1000 have expired and 400 were spent: they are owed once less than 400 are left of the order.
    [(8, 0), (4, 0), (3, -100), (0, -400)],
)
def test_returns_in_steps_are_one_return(price: int, left: int, swept: bool) -> None:
    have_rules()
    settle(order_of("cus_1", 1))
    spend(400)
    with moved(timedelta(days=DAYS + 10)):
        if swept:
            post_due()
        for version, step in enumerate((9, 6, price), start=2):
            settle(order_of("cus_1", version, price=max(step, price)))
        assert balance().balance == left
        settle(order_of("cus_1", 9))
        post_due()
        assert balance().balance == 0


def test_a_return_that_is_undone_gives_back_the_same_points(swept: bool) -> None:
    """The order's own points have expired by then, so points taken from another order go back to that order's lots."""
    have_rules()
    settle(order_of("cus_1", 1))
    spend(400)
    with moved(timedelta(days=20)):
        other = order("order_2", placed=PLACED + timedelta(days=20), lines=[line(price=5)])
        settle(other)
    kept = [(500, None, end_of_day(PLACED, 20 + DAYS))]
    with moved(timedelta(days=DAYS + 10)):
        if swept:
            post_due()
        settle(order_of("cus_1", 2, price=0))
        assert balance().balance == 500 - 400
        settle(order_of("cus_1", 3))
        post_due()
        assert lots("cus_1") == kept


def test_a_limit_takes_nothing_that_has_expired(swept: bool) -> None:
    have_rules(limits={"per_day": 500})
    settle(order_of("cus_1", 1, price=4), order("order_2", placed=PLACED + timedelta(minutes=1), lines=[line(price=4)]))
    assert balance().balance == 500
    with moved(timedelta(days=DAYS + 10)):
        if swept:
            post_due()
        # An order of that day becomes known only now, and leaves the others 200. Its own points expire at once.
        settle(order("order_0", placed=PLACED - timedelta(minutes=1), lines=[line(price=3)]))
        post_due()
        assert balance().balance == 0


def test_a_referral_takes_nothing_that_has_expired(api: TestClient, medusa: FakeMedusa, swept: bool) -> None:
    set_rules(earn={"expires_after_days": DAYS}, bonuses={"referral": {"referrer": 200, "referred": 50}})
    refer(api)
    settle(bought())
    spend(150, "cus_old")
    with moved(timedelta(days=DAYS + 10)):
        if swept:
            post_due()
        settle(bought(version=2, status="canceled"))
        assert (balance("cus_old").balance, balance("cus_new").balance) == (-150, 0)


@pytest.mark.parametrize(("policy", "left"), [("allow", -100), ("within_balance", 0)])
def test_a_cancel_right_after_another_lots_expiry_ends_the_same(policy: str, left: int, swept: bool) -> None:
    have_rules(policy)
    placed = PLACED + timedelta(days=20)
    settle(order_of("cus_1", 1, price=1))
    with moved(timedelta(days=20)):
        settle(order("order_2", placed=placed, lines=[line(price=2)]))
        # Of the first lot 100 go first, so nothing of it is left; then 100 of the second.
        spend(200)
        settle(order("order_3", placed=PLACED, lines=[line(price=1)]))
    with moved(end_of_day(PLACED, DAYS) + timedelta(seconds=30) - now()):
        if swept:
            post_due()
        # What order_3 earned has expired; of order_2 100 are there and 100 spent.
        settle(order("order_2", placed=placed, version=2, status="canceled"))
        post_due()
        assert balance().balance == left


def second(version: int = 1, *, price: float = 10, **more: Any) -> dict[str, Any]:
    """Another order, a little later."""
    return order("order_2", version=version, placed=PLACED + timedelta(minutes=5), lines=[line(price=price)], **more)


@pytest.mark.parametrize("policy", POLICIES)
def test_points_of_a_canceled_order_that_expired_for_another_are_not_taken_again(policy: str, swept: bool) -> None:
    have_rules(policy)
    settle(order_of("cus_1", 1), second())
    hold(2000)
    settle(second(2, status="canceled"))
    # What is let go pays with the points of the first order. The 1,000 that are left came from the canceled one.
    release()
    assert balance().balance == 1000
    with moved(timedelta(days=DAYS + 10)):
        if swept:
            post_due()
        settle(order_of("cus_1", 2, price=5))
        settle(order_of("cus_1", 3, status="canceled"))
        post_due()
        assert balance().balance == 0
        # And an order that earns now is not taken for it.
        settle(order("order_3", placed=now(), lines=[line(price=3)]))
        assert balance().balance == 300


@pytest.mark.parametrize("policy", POLICIES)
def test_points_that_come_back_and_expire_for_another_order_are_not_taken_again(policy: str, swept: bool) -> None:
    have_rules(policy)
    settle(order_of("cus_1", 1), second())
    hold(1000)
    capture(1000)
    settle(order_of("cus_1", 2, status="canceled"))
    refund(1000)
    assert balance().balance == 1000
    with moved(timedelta(days=DAYS + 10)):
        if swept:
            post_due()
        settle(second(2, status="canceled"))
        post_due()
        assert balance().balance == 0


def test_expired_points_are_counted_by_one_order_only(swept: bool) -> None:
    have_rules()
    settle(order_of("cus_1", 1), second())
    hold(2000)
    settle(second(2, price=0))
    release()
    with moved(timedelta(days=DAYS + 10)):
        if swept:
            post_due()
        # The first order counts what expired of the second, which is worth its points again later, and then not.
        for version, document in enumerate(
            (order_of("cus_1", 2, price=0), second(3), second(4, price=0), second(5)), 1
        ):
            settle(document)
            post_due()
            assert balance().balance == 0, version
        settle(order_of("cus_1", 3), second(6, status="canceled"))
        post_due()
        assert balance().balance == 0
