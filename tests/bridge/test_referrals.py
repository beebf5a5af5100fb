"""Referrals: both customers get a bonus with the first paid order, and lose it if that is canceled or returned."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest
from fastapi.testclient import TestClient

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId
from bridge.medusa.orders import deleted_order, read_order
from bridge.reports.customer_export import export_customer
from bridge.reports.explain import explain
from bridge.settlement.facts import read_revisions
from bridge.settlement.settle import settle_orders
from tests.support.admin_api import call, fields
from tests.support.clock import moved
from tests.support.ledger import capture, give, hold, post_due, refund, spend
from tests.support.orders import line
from tests.support.referrals import REFERRAL, bonuses, bought, refer, referral_of, set_referral_bonus, state_referral
from tests.support.settling import balance, set_rules, settle

# Referrals compare mailboxes, which are read from Medusa. It has none of these customers.
pytestmark = pytest.mark.usefixtures("medusa")


def test_both_customers_get_the_bonus_with_the_first_paid_order(api: TestClient) -> None:
    set_referral_bonus()
    refer(api)
    settle(bought(paid=False))
    assert bonuses() == (0, 0)
    settle(bought())
    assert bonuses() == (200, 50)
    settle(bought())
    settle(bought(2))
    assert bonuses() == (200, 50)
    assert referral_of(api, "cus_old")["brought"] == {"stated": 1, "qualified": 1, "dust": 200, "notes": []}
    assert referral_of(api, "cus_new")["referred_by"]["received"] == 50


def test_a_cancel_takes_both_bonuses_back_unless_another_order_qualifies(api: TestClient) -> None:
    set_referral_bonus()
    refer(api)
    settle(bought(1), bought(2))
    settle(bought(1, version=2, status="canceled"))
    assert (balance("cus_old").balance, balance("cus_new").balance) == (200, 60)
    settle(bought(2, version=2, status="canceled"))
    assert (balance("cus_old").balance, balance("cus_new").balance) == (0, 0)
    settle(bought(3))
    assert (balance("cus_old").balance, balance("cus_new").balance) == (200, 60)


def test_a_full_refund_takes_both_back_and_a_part_none(api: TestClient) -> None:
    set_referral_bonus()
    refer(api)
    settle(bought(lines=[line(quantity=2)]))
    settle(bought(version=2, lines=[line(quantity=2, returned=1)]))
    assert balance("cus_old").balance == 200
    settle(bought(version=3, lines=[line(quantity=2, returned=2)]))
    assert (balance("cus_old").balance, balance("cus_new").balance) == (0, 0)


@pytest.mark.parametrize("seed", range(3))
def test_the_result_does_not_depend_on_the_sequence_of_events(api: TestClient, seed: int) -> None:
    set_referral_bonus()
    refer(api)
    facts = [
        bought(number, version=version, status="canceled" if canceled else "pending")
        for number, ends in ((1, True), (2, False), (3, True))
        for version, canceled in ((1, False), (2, ends))
    ] * 2
    random.Random(seed).shuffle(facts)
    for document in facts:
        settle(document)
    assert (balance("cus_old").balance, balance("cus_new").balance) == (200, 60)


def test_a_referral_keeps_the_bonuses_of_its_version(api: TestClient) -> None:
    set_referral_bonus()
    refer(api)
    set_rules()
    settle(bought())
    assert bonuses() == (200, 50)


def test_an_order_that_earns_too_little_does_not_count(api: TestClient) -> None:
    set_referral_bonus(min_earned=20)
    refer(api)
    settle(bought())
    assert bonuses() == (0, 0)
    settle(bought(2, lines=[line(price=20)]))
    assert bonuses() == (200, 50)


def test_the_limit_stops_the_referrers_bonus_with_a_reason(api: TestClient) -> None:
    set_referral_bonus(max_per_30_days=2)
    for number in range(4):
        refer(api, f"cus_{number}")
    for number in range(4):
        settle(bought(by=f"cus_{number}"))
    assert balance("cus_old").balance == 400
    assert [balance(f"cus_{number}").balance for number in range(4)] == [60] * 4
    assert referral_of(api, "cus_old")["brought"] == {
        "stated": 4, "qualified": 4, "dust": 400,
        "notes": ["No bonus: the limit is 2 referrals in 30 days."],
    }  # fmt: skip


def test_eight_concurrent_referrals_keep_the_limit(api: TestClient) -> None:
    set_referral_bonus(max_per_30_days=3)
    for number in range(8):
        refer(api, f"cus_{number}")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: settle(bought(by=f"cus_{number}")), range(8)))
    assert balance("cus_old").balance == 600


def refused(answer: httpx.Response, status: int, code: str) -> bool:
    return (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_customer_who_cannot_be_referred_gets_a_reason(api: TestClient) -> None:
    code = referral_of(api, "cus_old")["code"]
    assert refused(state_referral(api, "cus_new", code), 409, "no_referrals")
    set_referral_bonus()
    assert refused(state_referral(api, "cus_old", code), 409, "own_referral_code")
    assert refused(state_referral(api, "cus_new", "NOBODY42"), 404, "unknown_referral_code")
    assert fields(state_referral(api, "cus_new", "no code!")) == {"code"}
    settle(bought(by="cus_customer", paid=False))
    assert refused(state_referral(api, "cus_customer", code), 409, "not_new")
    assert state_referral(api, "cus_new", f" {code.lower()} ").status_code == 201
    assert state_referral(api, "cus_new", code).status_code == 201
    assert refused(state_referral(api, "cus_new", referral_of(api, "cus_other")["code"]), 409, "already_referred")
    assert refused(state_referral(api, "cus_old", referral_of(api, "cus_new")["code"]), 409, "referral_circle")
    assert api.get(REFERRAL).status_code == 401


@pytest.mark.parametrize(
    "typed", ["ABCD-1234", "abcd 1234", "", "   ", "Ä" * 8, "A" * 21, "https://shop.example/?code=A"]
)
def test_a_code_that_nobody_has_is_refused_in_a_sentence(api: TestClient, typed: str) -> None:
    """It was pydantic's message, with a regular expression."""
    set_referral_bonus()
    answer = state_referral(api, "cus_new", typed)
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, ["code"])
    assert answer.json()["detail"] == "Please check the referral code: it has letters and digits only."


def test_everybody_has_one_code_however_often_it_is_asked_for(api: TestClient) -> None:
    with ThreadPoolExecutor(4) as pool:
        codes = {referral["code"] for referral in pool.map(lambda _: referral_of(api, "cus_old"), range(8))}
    assert len(codes) == 1
    assert referral_of(api, "cus_old")["offer"] is None
    set_referral_bonus()
    assert referral_of(api, "cus_new")["offer"] == {"referrer": 200, "referred": 50}


def test_a_referral_is_explained_exported_and_erased(api: TestClient) -> None:
    set_referral_bonus()
    refer(api)
    settle(bought())
    settle(bought(version=2, status="canceled"))
    with transaction() as connection:
        sentences = " ".join(step.sentence for step in explain(connection, CustomerId("cus_old")).steps)
        exported = export_customer(connection, CustomerId("cus_new"))
    assert "200 points as a bonus: You referred a customer." in sentences
    assert "200 points taken back for a referral: " in sentences
    assert "cus_old" not in str(exported)
    code = referral_of(api, "cus_old")["code"]
    assert call(api, "POST", "/admin/dust/customers/cus_old/erase").status_code == 200
    assert refused(state_referral(api, "cus_another", code), 404, "unknown_referral_code")


def test_bonuses_are_pending_as_long_as_the_orders_points(api: TestClient) -> None:
    set_rules(
        earn={"pending_days": 30, "expires_after_days": 90}, bonuses={"referral": {"referrer": 200, "referred": 50}}
    )
    refer(api)
    settle(bought())
    assert [(balance(customer_id).balance, balance(customer_id).pending) for customer_id in ("cus_old", "cus_new")] == [
        (0, 200),
        (0, 60),
    ]
    with moved(timedelta(days=31)):
        post_due()
        assert (balance("cus_old").balance, balance("cus_new").balance) == (200, 60)


def test_a_bonus_that_comes_back_waits_for_the_new_order(api: TestClient) -> None:
    set_rules(earn={"pending_days": 30}, bonuses={"referral": {"referrer": 200, "referred": 50}})
    refer(api)
    settle(bought())
    with moved(timedelta(days=31)):
        post_due()
        assert (balance("cus_old").balance, balance("cus_new").balance) == (200, 60)
        settle(bought(version=2, status="canceled"))
        settle(bought(24 * 31))
        assert [
            (balance(customer_id).balance, balance(customer_id).pending) for customer_id in ("cus_old", "cus_new")
        ] == [(0, 200), (0, 60)]
    with moved(timedelta(days=62)):
        post_due()
        assert (balance("cus_old").balance, balance("cus_new").balance) == (200, 60)


def test_a_return_before_they_mature_takes_them_back(api: TestClient) -> None:
    set_rules(
        earn={"pending_days": 30},
        bonuses={"referral": {"referrer": 200, "referred": 50}},
        reversal={"negative_balance": "within_balance"},
    )
    refer(api)
    settle(bought())
    settle(bought(version=2, status="canceled"))
    assert [(balance(customer_id).balance, balance(customer_id).pending) for customer_id in ("cus_old", "cus_new")] == [
        (0, 0),
        (0, 0),
    ]
    with moved(timedelta(days=31)):
        post_due()
        assert (balance("cus_old").balance, balance("cus_new").balance) == (0, 0)


def test_merged_accounts_that_refer_have_one_limit(api: TestClient) -> None:
    set_referral_bonus(max_per_30_days=1)
    refer(api, "cus_a", "cus_old")
    refer(api, "cus_b", "cus_old2")
    call(api, "POST", "/admin/dust/customers/cus_old2/merge", json={"into": "cus_old"})
    settle(bought(1, by="cus_a"), bought(2, by="cus_b"))
    assert (balance("cus_old").balance, balance("cus_old2").balance) == (200, 0)
    assert (balance("cus_a").balance, balance("cus_b").balance) == (60, 60)


@pytest.mark.parametrize(("old", "new"), [("cus_old", "cus_new"), ("cus_new", "cus_old")])
def test_a_referral_has_no_bonus_while_both_accounts_are_merged(api: TestClient, old: str, new: str) -> None:
    set_referral_bonus()
    refer(api)
    settle(bought())
    assert bonuses() == (200, 50)
    call(api, "POST", f"/admin/dust/customers/{old}/merge", json={"into": new})
    assert (balance(old).balance, balance(new).balance) == (0, 10)
    settle(bought(), bought(2))
    assert (balance(old).balance, balance(new).balance) == (0, 20)
    call(api, "POST", f"/admin/dust/customers/{old}/unmerge")
    assert (balance("cus_old").balance, balance("cus_new").balance) == (200, 70)


@pytest.mark.parametrize("policy", ["allow", "within_balance"])
@pytest.mark.parametrize(("old", "new"), [("cus_old", "cus_new"), ("cus_new", "cus_old")])
def test_what_expired_of_one_bonus_does_not_cover_the_other_once_both_accounts_are_merged(
    api: TestClient, policy: str, old: str, new: str
) -> None:
    set_rules(
        earn={"expires_after_days": 30},
        bonuses={"referral": {"referrer": 200, "referred": 50}},
        reversal={"negative_balance": policy},
    )
    refer(api)
    settle(bought())
    spend(50, "cus_new")
    with moved(timedelta(days=40)):
        post_due()
        assert (balance("cus_old").balance, balance("cus_new").balance) == (0, 0)
        give(70, "cus_old")
        call(api, "POST", f"/admin/dust/customers/{old}/merge", json={"into": new})
        # Of the new customer's bonus 40 were spent, with 10 points of the order.
        assert (balance(old).balance, balance(new).balance) == (0, 70 - 40)


@pytest.mark.parametrize("policy", ["allow", "within_balance"])
@pytest.mark.parametrize("seed", range(6))
def test_orders_that_are_returned_one_after_the_other_bring_one_bonus(api: TestClient, seed: int, policy: str) -> None:
    """The referrer spends the bonus before each return, and the next order of the new customer gives it anew."""
    chance = random.Random(seed)
    set_rules(bonuses={"referral": {"referrer": 200, "referred": 50}}, reversal={"negative_balance": policy})
    refer(api)
    spent: dict[str, int] = {}
    for number in range(1, 6):
        settle(bought(number))
        available = balance("cus_old").balance
        if available > 0:
            redemption, dust = f"dred_{number}", chance.choice([available, max(1, available // 2)])
            hold(dust, "cus_old", redemption)
            capture(dust, "cus_old", redemption)
            spent[redemption] = dust
        assert balance("cus_old").balance + sum(spent.values()) == 200
        settle(bought(number, version=2, status="canceled"))
        assert 0 <= balance("cus_old").balance + sum(spent.values()) <= (200 if policy == "within_balance" else 0)
        if spent and chance.random() < 0.5:
            redemption, dust = spent.popitem()
            refund(dust, "cus_old", redemption)
    for redemption, dust in spent.items():
        refund(dust, "cus_old", redemption)
    assert balance("cus_old").balance == 0


def test_bonuses_have_the_dates_that_the_rules_of_the_order_give(api: TestClient) -> None:
    """The rules of when the code was entered decide how many points; whether the order may be returned, its own."""
    offered = {"referral": {"referrer": 200, "referred": 50}}
    set_rules(earn={"expires_after_days": 20}, bonuses=offered)
    refer(api)
    set_rules(earn={"pending_days": 30, "expires_after_days": 90})
    settle(bought())
    assert [(balance(who).balance, balance(who).pending) for who in ("cus_old", "cus_new")] == [(0, 200), (0, 60)]
    with moved(timedelta(days=31)):
        post_due()
        assert (balance("cus_old").balance, balance("cus_new").balance) == (200, 60)


def test_an_order_whose_payment_was_declined_was_no_first_order(api: TestClient) -> None:
    set_referral_bonus()
    settle(bought(paid=False))
    declined = read_order(bought(paid=False))
    deleted = deleted_order(
        declined.id,
        customer_id=declined.customer_id,
        is_guest=False,
        currency_code="eur",
        version=1,
        placed_at=declined.placed_at,
        updated_at=declined.updated_at,
    )
    with transaction() as connection:
        settle_orders(connection, [deleted], now=now(), asked=read_revisions(connection, [deleted.id]))
    refer(api)
    settle(bought(2))
    assert (balance("cus_old").balance, balance("cus_new").balance) == (200, 60)
