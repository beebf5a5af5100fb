"""Transfers of orders to other customers. The points of an order exist once, also after a transfer."""

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId
from bridge.ledger.merges import merge_customers
from bridge.operations.audit import audit
from bridge.reports.customer_export import export_customer
from bridge.reports.explain import explain
from bridge.settlement.escrow import due_escrows, expire_escrows
from tests.support.clock import moved
from tests.support.ledger import capture, end_of_day, hold, lots, points, post_due, release, spend
from tests.support.medusa import FakeMedusa
from tests.support.orders import PLACED, line, order
from tests.support.referrals import bonuses, bought, refer, set_referral_bonus
from tests.support.settling import WORTH, balance, booked_points, have_rules, history, order_of, settle

pytestmark = pytest.mark.usefixtures("settings")

POLICIES = ("allow", "within_balance")


@pytest.mark.parametrize("policy", POLICIES)
def test_points_that_are_spent_are_not_given_to_the_next_owner(policy: str) -> None:
    """The attack: each of four accounts spends the order's points before it transfers the order to the next."""
    have_rules(policy)
    spent = 0
    for number, customer_id in enumerate(("cus_1", "cus_2", "cus_3", "cus_4"), start=1):
        settle(order_of(customer_id, number))
        if available := balance(customer_id).available:
            spend(available, customer_id)
            spent += available
    assert spent == WORTH
    assert points("cus_1", "cus_2", "cus_3", "cus_4") == [0, 0, 0, 0]
    settle(order_of("cus_1", 5))
    assert points("cus_1", "cus_2", "cus_3", "cus_4") == [0, 0, 0, 0]


@pytest.mark.parametrize("policy", POLICIES)
def test_free_points_go_to_the_new_owner_and_spent_ones_stay_booked(policy: str) -> None:
    have_rules(policy, expires_after_days=30)
    settle(order_of("cus_1", 1))
    spend(600)
    settle(order_of("cus_2", 2))
    assert points("cus_1", "cus_2") == [0, 400]
    assert lots("cus_2") == [(400, None, end_of_day(PLACED, 30))]
    assert history("cus_1")[-1] == ("transfer", -400)
    assert history("cus_2") == [("transfer", 400)]


@pytest.mark.parametrize(("policy", "left"), [("allow", -600), ("within_balance", 0)])
def test_a_cancel_takes_from_the_owner_first_and_then_from_former_owners(policy: str, left: int) -> None:
    have_rules(policy)
    settle(order_of("cus_1", 1))
    spend(600)
    settle(order_of("cus_2", 2))
    settle(order_of("cus_2", 3, price=7))
    assert points("cus_1", "cus_2") == [0, 100]
    settle(order_of("cus_2", 4, price=5))
    assert points("cus_1", "cus_2") == [-100 if policy == "allow" else 0, 0]
    settle(order_of("cus_2", 5, status="canceled"))
    assert points("cus_1", "cus_2") == [left, 0]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_return_that_is_undone_ends_where_it_began(policy: str) -> None:
    have_rules(policy)
    settle(order_of("cus_1", 1))
    spend(600)
    settle(order_of("cus_2", 2))
    settle(order_of("cus_2", 3, price=2))
    settle(order_of("cus_2", 4))
    assert points("cus_1", "cus_2") == [0, 400]


def test_a_higher_worth_goes_to_the_new_owner() -> None:
    have_rules()
    settle(order_of("cus_1", 1))
    spend(WORTH)
    settle(order_of("cus_2", 2, price=13))
    assert points("cus_1", "cus_2") == [0, 300]


def test_waived_points_count_first_when_the_order_grows_at_its_next_owner() -> None:
    have_rules("within_balance")
    settle(order_of("cus_1", 1))
    spend(WORTH)
    settle(order_of("cus_1", 2, price=5))
    assert points("cus_1") == [0]
    settle(order_of("cus_2", 3))
    # The first owner has spent its 1,000 points, so the new owner earns nothing until the order is worth more.
    assert points("cus_1", "cus_2") == [0, 0]
    settle(order_of("cus_2", 4, price=12))
    assert points("cus_1", "cus_2") == [0, 200]


def test_pending_points_are_transferred_as_pending() -> None:
    have_rules(pending_days=14)
    settle(order_of("cus_1", 1))
    settle(order_of("cus_2", 2))
    assert [(balance(customer_id).balance, balance(customer_id).pending) for customer_id in ("cus_1", "cus_2")] == [
        (0, 0),
        (0, WORTH),
    ]
    assert lots("cus_2") == [(WORTH, PLACED + timedelta(days=14), None)]
    with moved(timedelta(days=15)):
        post_due()
        assert points("cus_1", "cus_2") == [0, WORTH]


@pytest.mark.parametrize("policy", POLICIES)
def test_points_on_hold_stay_with_who_holds_them(policy: str) -> None:
    have_rules(policy)
    settle(order_of("cus_1", 1))
    hold(700)
    settle(order_of("cus_2", 2))
    assert points("cus_1", "cus_2") == [700, 300]
    release()
    assert points("cus_1", "cus_2") == [700, 300]
    settle(order_of("cus_2", 3, status="canceled"))
    assert points("cus_1", "cus_2") == [0, 0]


@pytest.mark.parametrize("policy", POLICIES)
def test_releasing_a_hold_does_not_bring_back_points_of_a_canceled_order(policy: str) -> None:
    have_rules(policy)
    settle(order_of("cus_1", 1))
    hold(WORTH)
    settle(order_of("cus_1", 2, status="canceled"))
    assert balance("cus_1").available == 0
    release()
    assert points("cus_1") == [0]


def test_a_hold_that_is_used_after_the_cancel_is_owed() -> None:
    have_rules("within_balance")
    settle(order_of("cus_1", 1))
    hold(WORTH)
    settle(order_of("cus_1", 2, status="canceled"))
    capture(WORTH)
    assert points("cus_1") == [-WORTH]


@pytest.mark.parametrize("batch", [False, True])
def test_several_steps_and_one_end_at_the_same(batch: bool) -> None:
    have_rules()
    settle(order_of("cus_1", 1))
    spend(600)
    steps = [order_of("cus_2", 2), order_of("cus_3", 3), order_of("cus_3", 4, price=8)]
    if batch:
        settle(*steps)
    else:
        for step in steps:
            settle(step)
    assert points("cus_1", "cus_2", "cus_3") == [0, 0, 200]


@pytest.mark.parametrize("policy", POLICIES)
def test_an_order_that_returns_to_its_first_owner_has_its_old_points(policy: str) -> None:
    have_rules(policy)
    settle(order_of("cus_1", 1))
    spend(600)
    settle(order_of("cus_2", 2))
    settle(order_of("cus_1", 3))
    assert points("cus_1", "cus_2") == [400, 0]
    settle(order_of("cus_1", 4, status="canceled"))
    assert points("cus_1", "cus_2") == [-600 if policy == "allow" else 0, 0]


def test_what_the_second_owner_spent_stays_theirs_when_it_goes_back() -> None:
    have_rules()
    settle(order_of("cus_1", 1))
    spend(600)
    settle(order_of("cus_2", 2))
    spend(300, "cus_2")
    settle(order_of("cus_1", 3))
    assert points("cus_1", "cus_2") == [100, 0]
    settle(order_of("cus_1", 4, price=0))
    assert points("cus_1", "cus_2") == [-600, -300]
    settle(order_of("cus_1", 5))
    assert points("cus_1", "cus_2") == [100, 0]


def test_other_free_points_are_transferred_instead_of_spent_ones() -> None:
    have_rules(expires_after_days=30)
    later = PLACED + timedelta(hours=1)
    settle(order_of("cus_1", 1), order("order_2", lines=[line(price=3)], placed=later))
    spend(WORTH)
    settle(order_of("cus_2", 2))
    assert points("cus_1", "cus_2") == [0, 300]
    assert lots("cus_2") == [(300, None, end_of_day(later, 30))]
    # The second order's points went with the first: its cancel finds nothing, and the first one's takes them.
    settle(order("order_2", lines=[line(price=3)], placed=later, version=2, status="canceled"))
    settle(order_of("cus_2", 3, status="canceled"))
    assert points("cus_1", "cus_2") == [-WORTH, 0]


def test_transfers_of_merged_accounts_use_their_survivor() -> None:
    have_rules()
    settle(order_of("cus_1", 1))
    with transaction() as connection:
        merge_customers(connection, CustomerId("cus_1"), CustomerId("cus_9"), actor="test", now=now())
    spend(600, "cus_9")
    settle(order_of("cus_2", 2))
    assert points("cus_1", "cus_9", "cus_2") == [0, 0, 400]
    settle(order_of("cus_1", 3))
    assert points("cus_1", "cus_9", "cus_2") == [0, 400, 0]
    settle(order_of("cus_1", 4, status="canceled"))
    assert points("cus_1", "cus_9", "cus_2") == [0, -600, 0]


def test_an_order_that_goes_to_a_guest_sets_aside_what_was_free() -> None:
    have_rules()
    settle(order_of("cus_1", 1))
    spend(600)
    settle(order_of("cus_guest", 2, guest=True))
    assert points("cus_1", "cus_guest") == [0, 0]
    settle(order_of("cus_2", 3))
    assert points("cus_1", "cus_2") == [0, 400]


def test_a_new_owner_earns_what_no_owner_had_earned_yet() -> None:
    have_rules(when="payment.captured")
    settle(order_of("cus_1", 1))
    settle(order_of("cus_2", 2))
    settle(order_of("cus_2", 3, payment_status="captured"))
    assert points("cus_1", "cus_2") == [0, WORTH]


def test_a_transfer_keeps_the_limits() -> None:
    have_rules(limits={"per_day": 500})
    settle(order_of("cus_1", 1))
    spend(500)
    settle(order_of("cus_2", 2))
    assert points("cus_1", "cus_2") == [0, 0]
    settle(order_of("cus_2", 3, price=0))
    assert points("cus_1", "cus_2") == [-500, 0]
    settle(order_of("cus_2", 4))
    assert points("cus_1", "cus_2") == [0, 0]


@pytest.mark.parametrize("steps", [[8, 4], [4], [8, 6, 4], [8, 4, 8, 4]])
def test_a_return_takes_first_what_a_limit_kept_from_the_first_owner(steps: list[int]) -> None:
    have_rules(limits={"per_day": 500})
    settle(order_of("cus_1", 1, price=8))
    for version, price in enumerate(steps, start=2):
        settle(order_of("cus_2", version, price=price))
        assert points("cus_1", "cus_2") == [0, min(price * 100, 500)]


def test_the_new_owners_limit_holds_for_what_comes_with_an_order() -> None:
    have_rules(limits={"per_day": 1200})
    settle(
        order_of("cus_1", 1), order("order_2", customer_id="cus_2", placed=PLACED - timedelta(hours=1), lines=[line()])
    )
    settle(order_of("cus_2", 2))
    assert points("cus_1", "cus_2") == [0, 1200]


def test_the_new_owners_other_orders_get_what_the_transfer_leaves() -> None:
    """600 stay with who spent them, so only 400 of the new owner's day are taken."""
    have_rules(limits={"per_day": 1200})
    later = PLACED + timedelta(hours=1)
    settle(order_of("cus_1", 1), order("order_2", customer_id="cus_2", placed=later, lines=[line()]))
    spend(600)
    settle(order_of("cus_2", 2))
    assert points("cus_1", "cus_2") == [0, 400 + 800]


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "in one batch"])
def test_points_that_stay_with_a_former_owner_use_up_their_limit(together: bool) -> None:
    have_rules(limits={"per_day": 500})
    second = order("order_2", placed=PLACED + timedelta(hours=1), lines=[line(price=5)])
    settle(order_of("cus_1", 1, price=5), second)
    spend(500)
    # The first order goes to another customer, but what it had earned was spent by the first.
    settle(order_of("cus_2", 2, price=5))
    assert (points("cus_1", "cus_2"), booked_points()) == ([0, 0], {"order_1": 0, "order_2": 0})
    # Points that the first customer gives back free their part of the limit.
    steps = [order_of("cus_2", 3, price=2), order_of("cus_2", 4, price=5), order_of("cus_2", 5, price=2)]
    for facts in [steps] if together else [[step] for step in steps]:
        settle(*facts)
    assert (points("cus_1", "cus_2"), booked_points()) == ([0, 0], {"order_1": 0, "order_2": 300})
    settle(order_of("cus_2", 6, status="canceled"))
    assert (points("cus_1", "cus_2"), booked_points()) == ([0, 0], {"order_1": 0, "order_2": 500})
    assert audit() == []


def test_an_order_leaves_a_merged_account_under_a_limit() -> None:
    """Only the account that was merged is named by the order; the limit counts for both accounts together."""
    have_rules(limits={"per_day": 700})
    settle(order_of("cus_2", 1), order("order_2", customer_id="cus_2", lines=[line(price=5)], placed=PLACED))
    with transaction() as connection:
        merge_customers(connection, CustomerId("cus_2"), CustomerId("cus_1"), actor="test", now=now())
    settle(order_of("cus_3", 2))
    # The order took the 700 of its day along, and the other one gets its 500.
    assert points("cus_1", "cus_2", "cus_3") == [500, 0, 700]
    assert audit() == []


def test_points_that_expired_at_a_former_owner_are_not_taken_again() -> None:
    have_rules(expires_after_days=30)
    settle(order_of("cus_1", 1))
    hold(250)
    settle(order_of("cus_2", 2))
    spend(150, "cus_2")
    with moved(timedelta(days=40)):
        post_due()
        release()
        settle(order_of("cus_2", 3, status="canceled"))
        assert points("cus_1", "cus_2") == [0, -150]


def test_a_referral_stays_with_the_first_owner(api: TestClient, medusa: FakeMedusa) -> None:
    set_referral_bonus()
    refer(api)
    refer(api, "cus_other", "cus_old")
    settle(bought())
    settle({**bought(version=2), "customer_id": "cus_other", "customer": {"id": "cus_other", "has_account": True}})
    assert bonuses() == (200, 50 - 10)
    assert history("cus_other") == [("transfer", 10)]
    settle({**bought(version=3, status="canceled"), "customer_id": "cus_other"})
    assert (balance("cus_old").balance, balance("cus_new").balance, balance("cus_other").balance) == (0, 0, 0)


def test_a_former_owner_of_an_order_is_not_a_new_customer(api: TestClient, medusa: FakeMedusa) -> None:
    set_referral_bonus()
    settle(bought())
    settle({**bought(version=2), "customer_id": "cus_other"})
    with pytest.raises(AssertionError, match="not_new"):
        refer(api)


def test_an_unpaid_order_qualifies_its_first_owner_when_it_is_paid(api: TestClient, medusa: FakeMedusa) -> None:
    set_referral_bonus()
    refer(api)
    refer(api, "cus_other", "cus_old")
    settle(bought(paid=False))
    settle({**bought(version=2, paid=False), "customer_id": "cus_other"})
    settle({**bought(version=3), "customer_id": "cus_other"})
    assert balance("cus_new").balance == 50
    assert balance("cus_other").balance == 10


def test_a_transfer_is_explained_and_exported() -> None:
    have_rules()
    settle(order_of("cus_1", 1))
    spend(600)
    settle(order_of("cus_2", 2))
    with transaction() as connection:
        reported = [
            explain(connection, CustomerId(customer_id)).steps[-1].sentence for customer_id in ("cus_1", "cus_2")
        ]
        exported = export_customer(connection, CustomerId("cus_1"))
    assert "400 points went with order #93" in reported[0]
    assert "400 points came with order #93" in reported[1]
    assert [row["booked"] for row in exported["orders_given_away"]] == [600]


def test_the_audit_is_clean_after_transfers() -> None:
    have_rules(expires_after_days=30)
    settle(order_of("cus_1", 1))
    spend(600)
    for version, customer_id in enumerate(("cus_2", "cus_3", "cus_1", "cus_2"), start=2):
        settle(order_of(customer_id, version))
        assert audit() == []
    settle(order_of("cus_2", 6, status="canceled"))
    assert audit() == []


@pytest.mark.parametrize("swept", [False, True])
def test_an_expired_escrow_takes_nothing_from_a_former_owner(swept: bool) -> None:
    have_rules()
    settle(order_of("cus_1", 1))
    spend(600, "cus_1")
    settle(order_of("cus_guest", 2, guest=True))
    with moved(timedelta(days=100)):
        if swept:
            with transaction() as connection:
                expire_escrows(connection, due_escrows(connection, now=now(), limit=10), now=now())
        settle(order_of("cus_guest", 3, guest=True))
        assert balance("cus_1").balance == 0


def test_an_order_of_a_guest_without_an_email_takes_nothing_from_a_former_owner() -> None:
    have_rules()
    settle(order_of("cus_1", 1))
    spend(600, "cus_1")
    settle({**order_of("cus_guest", 2, guest=True), "email": None})
    assert balance("cus_1").balance == 0
