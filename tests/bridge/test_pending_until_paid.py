"""`earn.pending_until_paid`: what an order earns is pending until the order is paid."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId
from bridge.inbox.process_batch import process_batch
from bridge.inbox.reconcile import reconcile
from bridge.ledger.mature_and_expire import post_due_lots
from bridge.ledger.merges import merge_customers
from bridge.medusa.client import get_medusa
from bridge.settlement.claims import claim_orders
from bridge.settlement.tables import Proof
from tests.support import tokens
from tests.support.ledger import capture, hold, spend
from tests.support.medusa import FakeMedusa
from tests.support.orders import PLACED, line, order
from tests.support.settling import balance, history, set_rules, settle
from tests.support.store_api import redeemed

pytestmark = pytest.mark.usefixtures("settings")


def until_paid(*, earn: dict[str, Any] | None = None, **more: Any) -> None:
    set_rules(earn={"pending_until_paid": True, **(earn or {})}, **more)


def bought(total: float = 100, captured: float = 0, *, number: int = 1, **more: Any) -> dict[str, Any]:
    """An order with this captured amount. A capture does not change Medusa's `version` or `updated_at`."""
    lines = more.pop("lines", None) or [line(f"line_{number}", price=total)]
    status = "captured" if captured and captured >= total else "partially_captured" if captured else "authorized"
    document = order(f"order_{number}", lines=lines, payment_status=status, **more)
    summary = {"paid_total": captured, "refunded_total": 0, "transaction_total": captured}
    return document | {"summary": summary, "payment_collections": []}


def figures(customer_id: str = "cus_1") -> tuple[int, int]:
    account = balance(customer_id)
    return account.balance, account.pending


def test_it_is_shown_as_pending_and_cannot_be_spent_until_the_order_is_paid(api: TestClient) -> None:
    until_paid()
    assert settle(bought())["order_1"].note == "Its points are pending until the order is paid."
    answer = api.get("/store/dust/balance", headers=tokens.customer("cus_1")).json()
    assert (answer["balance"], answer["available"], answer["pending"]) == (0, 0, 100)
    # Time alone changes nothing.
    with transaction() as connection:
        assert post_due_lots(connection, now=now() + timedelta(days=3650), customers=10) == 0
    settle(bought(captured=99))
    assert figures() == (0, 100)
    settle(bought(captured=100))
    assert figures() == (100, 0)
    assert history() == [("earn", 0), ("mature", 100)]


def test_it_matures_at_the_payment_or_when_pending_days_are_over_whichever_is_later() -> None:
    until_paid(earn={"pending_days": 30})
    settle(bought())
    settle(bought(captured=100))
    assert figures() == (0, 100)
    with transaction() as connection:
        post_due_lots(connection, now=PLACED + timedelta(days=30), customers=10)
    assert figures() == (100, 0)


def test_an_order_that_is_paid_when_it_is_first_settled_is_spendable_at_once() -> None:
    until_paid()
    settle(bought(captured=100))
    assert history() == [("earn", 100)]


def test_a_cancel_takes_what_is_pending() -> None:
    until_paid()
    settle(bought())
    settle(bought(status="canceled", version=2))
    assert figures() == (0, 0)


@pytest.mark.parametrize("policy", ["allow", "within_balance"])
def test_an_order_that_is_canceled_unpaid_pays_no_debt(policy: str) -> None:
    until_paid(reversal={"negative_balance": policy})
    settle(bought(captured=100))
    hold(100)
    settle(bought(captured=100, status="canceled", version=2))
    capture(100)
    assert figures() == (-100, 0)
    settle(bought(number=2))
    assert figures() == (-100, 100)
    settle(bought(number=2, status="canceled", version=2))
    assert figures() == (-100, 0)
    assert history()[-2:] == [("earn", 0), ("reverse", 0)]


def test_what_was_paid_stays_spendable_and_what_an_edit_adds_waits() -> None:
    until_paid()
    settle(bought(captured=100))
    settle(bought(500, 100, version=2))
    assert figures() == (100, 400)
    settle(bought(300, 100, version=3))
    assert figures() == (100, 200)
    settle(bought(300, 300, version=3))
    assert figures() == (300, 0)


@pytest.mark.parametrize("damaged", [False, True])
def test_what_an_edit_adds_waits_although_as_much_was_refunded_for_a_return(damaged: bool) -> None:
    until_paid()
    first, second = line("line_1", price=50), line("line_2", price=50)
    settle(bought(captured=100, lines=[first, second]))
    back = line("line_1", price=50, returned=1)
    back |= {"return_received_total": 50}
    if damaged:
        back["detail"] |= {"return_received_quantity": 0, "return_dismissed_quantity": 1}
        back |= {"return_received_total": 0, "return_dismissed_total": 50}
    refund = {"summary": {"paid_total": 100, "refunded_total": 50, "transaction_total": 50}}
    settle(bought(captured=100, lines=[back, second], version=2) | refund)
    assert figures() == (50, 0)
    edited = [back, second, line("line_3", price=40)]
    settle(bought(captured=100, lines=edited, version=3) | refund)
    assert figures() == (50, 40)
    paid = {"summary": {"paid_total": 140, "refunded_total": 50, "transaction_total": 90}}
    settle(bought(captured=140, lines=edited, version=3) | paid)
    assert figures() == (90, 0)


def test_what_an_edit_adds_waits_although_as_much_was_refunded_for_an_earlier_edit() -> None:
    until_paid()
    settle(bought(captured=100))
    first = {"status": "completed", "amount": 100, "captured_amount": 100, "refunded_amount": 90}
    refund = {"summary": {"paid_total": 100, "refunded_total": 90, "transaction_total": 10}}
    settle(bought(10, 100, version=2) | refund | {"payment_collections": [first]})
    assert figures() == (10, 0)
    second = {"status": "not_paid", "amount": 90}
    settle(bought(100, 100, version=3) | refund | {"payment_collections": [first, second]})
    assert figures() == (10, 90)
    paid = {"summary": {"paid_total": 190, "refunded_total": 90, "transaction_total": 100}}
    second = {"status": "completed", "amount": 90, "captured_amount": 90}
    settle(bought(100, 190, version=3) | paid | {"payment_collections": [first, second]})
    assert figures() == (100, 0)


def test_waived_points_that_a_refund_has_paid_wait_as_the_order_does(api: TestClient, medusa: FakeMedusa) -> None:
    until_paid(redeem={"rates": {"eur": "100"}}, reversal={"negative_balance": "within_balance"})
    settle(bought(captured=100))
    code = redeemed(api, {"dust": 100, "currency_code": "eur"})["code"]
    lines = [line(price=1, discount=1, code=code)]
    settle(order("order_spends", lines=lines))
    refund = {"summary": {"paid_total": 100, "refunded_total": 90, "transaction_total": 10}}
    settle(bought(10, 100, version=2) | refund)
    settle(order("order_spends", lines=lines, version=2, status="canceled"))
    assert figures() == (10, 0), "90 were waived, and are taken now"
    settle(bought(150, 100, version=3) | refund)
    assert figures() == (10, 140)


def test_a_free_order_is_pending_once_it_costs_something() -> None:
    until_paid(earn={"fixed": [{"product_id": "prod_gift", "dust": 7}]})
    gift = line(product_id="prod_gift", price=10, discount=10, code="GIFT")
    settle(bought(0, lines=[gift]))
    assert figures() == (7, 0)
    settle(bought(500, lines=[gift, line("line_2", price=500)], version=2))
    assert figures() == (7, 500)
    settle(bought(500, 500, lines=[gift, line("line_2", price=500)], version=2))
    assert figures() == (507, 0)


@pytest.mark.parametrize("basis", ["earned", "spent"])
def test_an_unpaid_order_counts_for_no_tier(basis: str, api: TestClient) -> None:
    gold = {"name": "gold", "from": 100, "factor": "2"}
    until_paid(tiers={"basis": basis, "currency_code": "eur", "levels": [gold]})
    at = [PLACED + timedelta(minutes=minutes) for minutes in range(4)]
    # In one batch, then with an existing row.
    settle(bought(number=1, placed=at[0]), bought(10, 10, number=2, placed=at[1]))
    settle(bought(10, 10, number=3, placed=at[2]))
    assert figures() == (20, 100)
    tier = api.get("/store/dust/balance", headers=tokens.customer("cus_1")).json()["tier"]
    assert tier["name"] is None
    settle(bought(captured=100, number=1, placed=at[0]), bought(10, 10, number=4, placed=at[3]))
    assert figures() == (20 + 100 + 20, 0)


def test_the_poll_finds_a_payment_without_a_webhook(medusa: FakeMedusa) -> None:
    until_paid()
    settle(bought())
    medusa.orders = {"order_1": bought(captured=100)}
    payment = {"id": "pay_1", "updated_at": now().isoformat(), "payment_collection": {"order": {"id": "order_1"}}}
    medusa.payments = {"pay_1": payment}
    assert reconcile(get_medusa()).drifted == ["order_1"]
    process_batch()
    assert figures() == (100, 0)
    assert reconcile(get_medusa()).drifted == []


def test_what_a_merge_carries_over_waits_as_well() -> None:
    until_paid()
    settle(bought())
    with transaction() as connection:
        merge_customers(connection, CustomerId("cus_1"), CustomerId("cus_2"), actor="test", now=now())
    assert figures("cus_2") == (0, 100)
    settle(bought(captured=100))
    assert (figures("cus_1"), figures("cus_2")) == ((0, 0), (100, 0))


def test_a_claimed_guest_order_waits_for_its_payment() -> None:
    until_paid()
    settle(bought(guest=True, customer_id="cus_guest"))
    with transaction() as connection:
        claim_orders(connection, CustomerId("cus_1"), ["order_1"], Proof.SUPPORT, now=now())
    assert figures() == (0, 100)
    settle(bought(captured=100, guest=True, customer_id="cus_guest"))
    assert figures() == (100, 0)


def test_a_transfer_hands_over_what_waits() -> None:
    until_paid()
    settle(bought())
    settle(bought(customer_id="cus_2", version=2))
    assert (figures("cus_1"), figures("cus_2")) == ((0, 0), (0, 100))
    settle(bought(captured=100, customer_id="cus_2", version=2))
    assert figures("cus_2") == (100, 0)


def test_more_that_a_limit_leaves_waits_as_its_order_does() -> None:
    until_paid(earn={"limits": {"per_day": 100}})
    later = PLACED + timedelta(minutes=1)
    settle(bought(number=1, captured=100), bought(number=2, placed=later))
    assert figures() == (100, 0)
    settle(bought(number=1, status="canceled", version=2))
    assert figures() == (0, 100)
    settle(bought(number=2, captured=100, placed=later))
    assert figures() == (100, 0)


def test_what_a_former_owner_gets_back_waits_for_the_payment_too() -> None:
    until_paid()
    settle(bought(captured=100))
    spend(100)
    settle(bought(captured=100, customer_id="cus_2", version=2))
    settle(bought(50, 100, customer_id="cus_2", version=3))
    assert (figures(), figures("cus_2")) == ((-50, 0), (0, 0))
    settle(bought(120, 100, customer_id="cus_2", version=4))
    assert (figures(), figures("cus_2")) == ((-50, 50), (0, 20))
    settle(bought(120, 120, customer_id="cus_2", version=4))
    assert (figures(), figures("cus_2")) == ((0, 0), (20, 0))
