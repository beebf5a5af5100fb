"""Explanations use the shop's word for points and its time zone."""

from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId
from bridge.ledger.merges import merge_customers
from bridge.reports.explain import explain, explain_escrow
from bridge.settlement.manual_bonuses import NewBonus, give_bonus
from tests.support.clock import moved
from tests.support.guests import escrow, guest
from tests.support.medusa import FakeMedusa
from tests.support.orders import line, order
from tests.support.referrals import bought, refer
from tests.support.settling import set_rules, settle
from tests.support.store_api import redeemed

pytestmark = pytest.mark.usefixtures("settings")

# In the evening of 12 May in London, in the morning of 13 May in Auckland.
EVENING = datetime(2027, 5, 12, 20, tzinfo=UTC)


def sentences(customer_id: str = "cus_1") -> list[str]:
    with transaction() as connection:
        explanation = explain(connection, CustomerId(customer_id))
    return [*(step.sentence for step in explanation.steps), *explanation.summary]


def test_pending_bonuses_have_their_points(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(earn={"pending_days": 14}, bonuses={"referral": {"referrer": 200, "referred": 50}})
    refer(api)
    settle(bought())
    assert "200 points as a bonus: You referred a customer, to become spendable later." in sentences("cus_old")[0]
    bonus = NewBonus(
        customer_ids=(CustomerId("cus_1"),), amount=7, reason="test", description="Sorry", matures_after_days=3
    )
    with transaction() as connection:
        give_bonus(connection, bonus, idempotency_key="key", actor="test", now=now())
    assert "7 points as a bonus: Sorry, to become spendable later." in sentences()[0]


def unpaid(total: float, captured: float, refunded: float, version: int) -> dict[str, object]:
    summary = {"paid_total": captured, "refunded_total": refunded, "transaction_total": captured - refunded}
    document = order(lines=[line(price=total)], version=version)
    return document | {"summary": summary, "payment_collections": [], "payment_status": "partially_captured"}


def test_waived_points_that_are_pending_again_are_given_and_not_taken(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(
        earn={"pending_until_paid": True},
        redeem={"rates": {"eur": "100"}},
        reversal={"negative_balance": "within_balance"},
    )
    settle(unpaid(100, 100, 0, 1))
    code = redeemed(api, {"dust": 100, "currency_code": "eur"})["code"]
    lines = [line(price=1, discount=1, code=code)]
    settle(order("order_spends", lines=lines))
    settle(unpaid(10, 100, 90, 2))
    settle(order("order_spends", lines=lines, version=2, status="canceled"))
    settle(unpaid(150, 100, 90, 3))
    given = [sentence for sentence in sentences() if "given again" in sentence]
    assert len(given) == 1
    assert "90 points of orders that were canceled or returned, given again, to become spendable later" in given[0]
    assert not any(" 0 points" in sentence for sentence in sentences())


def test_days_are_those_of_the_shop(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(
        time_zone="Pacific/Auckland",
        earn={"expires_after_days": 30},
        tiers={"window_days": 30, "levels": [{"name": "gold", "from": "5"}]},
    )
    with moved(EVENING - now()):
        settle(order(placed=EVENING, lines=[line(price=10)]))
        redeemed(api, {"dust": 5, "currency_code": "eur"})
        with transaction() as connection:
            merge_customers(connection, CustomerId("cus_2"), CustomerId("cus_1"), actor="test", now=now())
        earned, *_, expiring, tier, merged = sentences()
    assert earned.startswith("13 May 2027: 10 points earned")
    assert expiring == "Expiring on 12 Jun 2027: 5 points."
    assert "until 12 Jun 2027 if no order comes" in tier
    assert merged.startswith("Since 13 May 2027 another account")


def test_a_guest_reads_the_last_day_on_which_points_can_be_claimed() -> None:
    """At 20:00 on the 9th in Los Angeles, which is the 10th in London."""
    set_rules(time_zone="America/Los_Angeles", guests={"escrow_days": 90})
    placed = datetime(2027, 5, 12, 3, tzinfo=UTC)
    note = settle(guest(placed=placed))["order_1"].note
    assert escrow().expires_at == placed + timedelta(days=90)
    assert note == "A guest's order: 10 points can be claimed until 09 Aug 2027."
    with transaction() as connection:
        assert explain_escrow(connection, escrow())[-1] == "The guest can claim 10 points until 09 Aug 2027."
