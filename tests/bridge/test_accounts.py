"""Accounts: one sign-up bonus for each account and mailbox, and only a proved e-mail claims a guest's points."""

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from bridge.clock import now, real_now
from bridge.db import transaction
from bridge.errors import Unavailable
from bridge.ids import CustomerId
from bridge.inbox.process_batch import process_batch
from bridge.inbox.process_one import process_event
from bridge.inbox.reconcile import reconcile
from bridge.ledger.merges import merge_customers, unmerge_customer
from bridge.medusa.client import get_medusa
from bridge.settlement.email_hash import replace_key
from bridge.settlement.tables import EscrowState
from tests.support import tokens
from tests.support.clock import advance
from tests.support.deliveries import deliver
from tests.support.guests import EMAIL, escrow, guest
from tests.support.medusa import FakeMedusa
from tests.support.orders import event, order
from tests.support.settling import balance, set_rules, settle
from workers.upkeep import escrow as sweep

BONUS = 50

pytestmark = pytest.mark.usefixtures("settings")


def deliver_customer_event(api: TestClient, kind: str, customer_id: str = "cus_1") -> None:
    """Deliver a webhook about a customer, and handle it."""
    deliver(api, event(kind, {"id": customer_id}))
    handle_waiting()


def handle_waiting() -> None:
    for event_id in process_batch().split_off:
        process_event(event_id)


def poll() -> None:
    reconcile(get_medusa(), since=real_now() - timedelta(days=2))
    handle_waiting()


def register(api: TestClient, medusa: FakeMedusa, customer_id: str = "cus_1", email: str = EMAIL) -> None:
    medusa.add_customer(customer_id, email, created=real_now())
    deliver_customer_event(api, "customer.created", customer_id)


def delete(api: TestClient, medusa: FakeMedusa, customer_id: str = "cus_1") -> None:
    del medusa.customers[customer_id]
    deliver_customer_event(api, "customer.deleted", customer_id)


def test_an_account_whose_time_cannot_be_stored_does_not_stop_the_poll(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(bonuses={"signup": BONUS})
    medusa.add_customer("cus_1", EMAIL, created=real_now())
    medusa.customers["cus_1"]["created_at"] = "9999-12-31T23:59:59.000-05:00"
    poll()
    assert balance().balance == BONUS


# The sign-up bonus.


def test_a_record_without_an_account_gets_no_bonus(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(bonuses={"signup": BONUS})
    medusa.add_customer("cus_1", EMAIL, has_account=False, created=real_now())
    deliver_customer_event(api, "customer.created")
    poll()
    assert balance().balance == 0


def test_a_record_that_gets_an_account_gets_the_bonus_then(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(bonuses={"signup": BONUS})
    medusa.add_customer("cus_1", EMAIL, has_account=False, created=real_now())
    deliver_customer_event(api, "customer.created")
    medusa.edit_customer("cus_1", has_account=True)
    deliver_customer_event(api, "customer.updated")
    deliver_customer_event(api, "customer.updated")
    assert balance().balance == BONUS


def test_an_account_that_registers_beside_a_record_gets_the_bonus(api: TestClient, medusa: FakeMedusa) -> None:
    """As Medusa 2.21.2 does it: the record stays, and the account is a new customer."""
    set_rules(bonuses={"signup": BONUS})
    medusa.add_customer("cus_record", EMAIL, has_account=False, created=real_now())
    deliver_customer_event(api, "customer.created", "cus_record")
    register(api, medusa)
    assert (balance("cus_record").balance, balance().balance) == (0, BONUS)


def test_an_edit_of_an_account_older_than_the_bonus_gives_no_bonus(api: TestClient, medusa: FakeMedusa) -> None:
    register(api, medusa)
    set_rules(bonuses={"signup": BONUS})
    medusa.edit_customer("cus_1", first_name="Grace")
    deliver_customer_event(api, "customer.updated")
    assert balance().balance == 0


@pytest.mark.parametrize("steps", list(itertools.permutations(["created", "updated", "poll"])))
def test_webhooks_and_poll_in_any_order_give_one_bonus(
    api: TestClient, medusa: FakeMedusa, steps: tuple[str, ...]
) -> None:
    set_rules(bonuses={"signup": BONUS}, guests={"claim": "registration"})
    medusa.add_customer("cus_1", EMAIL, created=real_now())
    do: dict[str, Callable[[], None]] = {
        "created": lambda: deliver_customer_event(api, "customer.created"),
        "updated": lambda: deliver_customer_event(api, "customer.updated"),
        "poll": poll,
    }
    for step in steps:
        do[step]()
    assert balance().balance == BONUS


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (EMAIL, EMAIL.upper()),
        (EMAIL, EMAIL.lower()),
        (EMAIL, f" {EMAIL}"),
        ("ada@münchen.example", "ada@xn--mnchen-3ya.example"),
        ("ada@münchen.example", "ada@MÜNCHEN.example"),
        ("ada@xn--mnchen-3ya.example", "ada@mu\u0308nchen.example"),
    ],
)
def test_two_accounts_of_one_mailbox_get_one_bonus(
    api: TestClient, medusa: FakeMedusa, first: str, second: str
) -> None:
    set_rules(bonuses={"signup": BONUS})
    register(api, medusa, "cus_1", first)
    register(api, medusa, "cus_2", second)
    poll()
    assert (balance("cus_1").balance, balance("cus_2").balance) == (BONUS, 0)


def test_a_mailbox_that_comes_back_after_its_account_was_deleted_gets_no_second_bonus(
    api: TestClient, medusa: FakeMedusa
) -> None:
    set_rules(bonuses={"signup": BONUS})
    register(api, medusa, "cus_1")
    delete(api, medusa, "cus_1")
    register(api, medusa, "cus_2", EMAIL.lower())
    poll()
    assert balance("cus_2").balance == 0


def test_an_account_that_was_erased_by_the_merchant_keeps_its_mailbox_taken(
    api: TestClient, medusa: FakeMedusa
) -> None:
    set_rules(bonuses={"signup": BONUS})
    register(api, medusa, "cus_1")
    assert api.post("/admin/dust/customers/cus_1/erase", headers=tokens.admin()).status_code == 200
    with transaction() as connection:
        kept = connection.execute(text("SELECT customer_id FROM mailbox")).all()
    assert kept == [(None,)], "only the hash is left"
    register(api, medusa, "cus_2", EMAIL.upper())
    assert balance("cus_2").balance == 0


def test_a_new_key_keeps_mailboxes_taken_and_proofs_valid(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(bonuses={"signup": BONUS}, guests={"claim": "registration"})
    register(api, medusa, "cus_1")
    delete(api, medusa, "cus_1")
    register(api, medusa, "cus_2", "other@example.com")
    for _ in range(2):
        with transaction() as connection:
            replace_key(connection, now=now())
    register(api, medusa, "cus_3", EMAIL.upper())
    assert balance("cus_3").balance == 0
    settle(guest(email="Other@example.com"))
    sweep()
    assert balance("cus_2").balance == BONUS + 10


def test_no_e_mail_is_stored_in_clear_text(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(bonuses={"signup": BONUS})
    register(api, medusa)
    with transaction() as connection:
        dump = str(connection.execute(text("SELECT * FROM mailbox, customer_account, webhook_event")).all()).lower()
    assert EMAIL.lower() not in dump
    assert EMAIL.lower().encode().hex() not in dump


def test_while_medusa_is_away_the_bonus_waits(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(bonuses={"signup": BONUS})
    medusa.add_customer("cus_1", EMAIL, created=real_now())
    medusa.away = True
    deliver(api, event("customer.created", {"id": "cus_1"}), event_id="msg_1")
    assert process_batch().split_off == ("msg_1",)
    with pytest.raises(Unavailable):
        process_event("msg_1")
    assert balance().balance == 0
    medusa.away = False
    process_event("msg_1")
    assert balance().balance == BONUS


def test_a_customer_whom_medusa_does_not_know_gets_nothing_and_the_event_says_so(
    api: TestClient, medusa: FakeMedusa
) -> None:
    set_rules(bonuses={"signup": BONUS})
    deliver_customer_event(api, "customer.created", "cus_nobody")
    assert balance("cus_nobody").balance == 0
    events = api.get("/admin/dust/events", headers=tokens.admin()).json()["events"]
    assert "no customer cus_nobody" in events[0]["reason"]


def test_accounts_of_one_person_get_one_bonus_after_their_merge(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(bonuses={"signup": BONUS})
    register(api, medusa, "cus_1")
    medusa.add_customer("cus_2", "second@example.com", created=real_now())
    with transaction() as connection:
        merge_customers(connection, CustomerId("cus_2"), CustomerId("cus_1"), actor="test", now=now())
    deliver_customer_event(api, "customer.created", "cus_2")
    assert (balance("cus_1").balance, balance("cus_2").balance) == (BONUS, 0)
    with transaction() as connection:
        unmerge_customer(connection, CustomerId("cus_2"), actor="test", now=now())
    assert (balance("cus_1").balance, balance("cus_2").balance) == (BONUS, 0)


# Guests' points. The attacker owns mallory@example.com and wants what waits for EMAIL.

MALLORY = "mallory@example.com"


@pytest.mark.parametrize("then", ["poll", "updated", "created", "nothing"])
@pytest.mark.parametrize("first", ["created", "poll", "nothing"])
@pytest.mark.parametrize("mode", ["registration"])
def test_a_changed_e_mail_claims_nothing(api: TestClient, medusa: FakeMedusa, first: str, then: str, mode: str) -> None:
    set_rules(guests={"claim": mode})
    settle(guest())
    medusa.add_customer("cus_1", MALLORY, created=real_now())
    step(api, first)
    medusa.edit_customer("cus_1", email=EMAIL)
    step(api, then)
    if then == "updated":
        # The change has dropped the first proof: the next look must not take the account for a new one.
        poll()
        step(api, "created")
    sweep()
    assert (balance().balance, escrow().state) == (0, EscrowState.WAITING)


def step(api: TestClient, action: str) -> None:
    if action == "poll":
        poll()
    elif action != "nothing":
        deliver_customer_event(api, f"customer.{action}")


@pytest.mark.parametrize("then", ["poll", "updated", "created"])
@pytest.mark.parametrize("changed", [True, False])
def test_an_account_older_than_the_mode_claims_nothing(
    api: TestClient, medusa: FakeMedusa, then: str, changed: bool
) -> None:
    """Its e-mail may not have been verified when the account was created, even if it has not changed since."""
    set_rules(bonuses={"signup": BONUS} if changed else {})
    settle(guest())
    register(api, medusa, email=MALLORY if changed else EMAIL)
    before = balance().balance
    advance(timedelta(minutes=1))
    set_rules(guests={"claim": "registration"})
    if changed:
        medusa.edit_customer("cus_1", email=EMAIL)
    if then == "created" and not changed:
        pytest.skip("a webhook that comes a second time, under a new id, is a new registration to Dust")
    step(api, then)
    poll()
    sweep()
    assert (balance().balance - before, escrow().state) == (0, EscrowState.WAITING)


def test_an_account_that_the_poll_finds_claims_with_its_first_e_mail(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(guests={"claim": "registration"})
    settle(guest())
    medusa.add_customer("cus_1", EMAIL, created=real_now())
    poll()
    poll()
    assert (balance().balance, escrow().customer_id) == (10, "cus_1")


def test_an_e_mail_that_was_changed_and_changed_back_claims_nothing(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(guests={"claim": "registration"})
    register(api, medusa)
    for email in (MALLORY, EMAIL):
        medusa.edit_customer("cus_1", email=email)
        deliver_customer_event(api, "customer.updated")
    settle(guest())
    poll()
    sweep()
    assert balance().balance == 0


def test_a_spelling_of_the_same_mailbox_is_no_change(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(guests={"claim": "registration"})
    register(api, medusa)
    medusa.edit_customer("cus_1", email=EMAIL.upper())
    deliver_customer_event(api, "customer.updated")
    settle(guest())
    sweep()
    assert balance().balance == 10


def test_proofs_by_registration_count_only_while_the_rules_accept_them(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(guests={"claim": "registration"})
    register(api, medusa)
    set_rules()
    settle(guest())
    sweep()
    assert balance().balance == 0


def test_of_two_accounts_of_one_mailbox_the_newer_claims_in_any_sequence(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(guests={"claim": "registration"})
    for number, email in enumerate((EMAIL.lower(), EMAIL.upper())):
        medusa.add_customer(f"cus_{number}", email, created=real_now() + timedelta(seconds=number))
    for customer_id in ("cus_1", "cus_0"):
        deliver_customer_event(api, "customer.created", customer_id)
    settle(guest())
    sweep()
    assert (balance("cus_0").balance, balance("cus_1").balance) == (0, 10)


def test_an_account_that_was_deleted_and_created_again_claims_as_a_new_one(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(guests={"claim": "registration"})
    register(api, medusa, "cus_1")
    delete(api, medusa, "cus_1")
    settle(guest())
    sweep()
    assert balance("cus_1").balance == 0
    register(api, medusa, "cus_2")
    assert balance("cus_2").balance == 10


# Referrals.

REFERRAL = "/store/dust/referral"


def offer_referral_bonus() -> None:
    set_rules(bonuses={"referral": {"referrer": 200, "referred": 50}}, guests={"claim": "registration"})


def code_of(api: TestClient, customer_id: str) -> str:
    return str(api.get(REFERRAL, headers=tokens.customer(customer_id)).json()["code"])


def state(api: TestClient, customer_id: str, by: str) -> httpx.Response:
    return api.post(REFERRAL, json={"code": code_of(api, by)}, headers=tokens.customer(customer_id))


def refusal(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json().get("code", "")


@pytest.mark.parametrize("heard_of", [True, False])
def test_a_second_account_of_the_same_mailbox_cannot_be_referred(
    api: TestClient, medusa: FakeMedusa, heard_of: bool
) -> None:
    """Also if neither account's event has arrived yet, and in both directions."""
    offer_referral_bonus()
    for number, email in enumerate((EMAIL, EMAIL.upper())):
        medusa.add_customer(f"cus_{number}", email, created=real_now() + timedelta(seconds=number))
        if heard_of:
            deliver_customer_event(api, "customer.created", f"cus_{number}")
    assert refusal(state(api, "cus_1", by="cus_0")) == (409, "own_referral_code")
    assert refusal(state(api, "cus_0", by="cus_1")) == (409, "own_referral_code")


def test_a_mailbox_that_had_an_account_is_no_new_customer(api: TestClient, medusa: FakeMedusa) -> None:
    offer_referral_bonus()
    register(api, medusa, "cus_old", "old@example.com")
    register(api, medusa, "cus_1")
    delete(api, medusa, "cus_1")
    register(api, medusa, "cus_2", EMAIL.upper())
    assert refusal(state(api, "cus_2", by="cus_old")) == (409, "not_new")
    # Dust remembers it, whether Medusa still has the account or not.
    del medusa.customers["cus_2"]
    assert refusal(state(api, "cus_2", by="cus_old")) == (409, "not_new")


def test_a_code_stated_before_the_account_is_known_counts(api: TestClient, medusa: FakeMedusa) -> None:
    offer_referral_bonus()
    settle(guest())
    medusa.add_customer("cus_old", "old@example.com", created=real_now())
    medusa.add_customer("cus_1", EMAIL, created=real_now())
    assert state(api, "cus_1", by="cus_old").status_code == 201
    deliver_customer_event(api, "customer.created", "cus_1")
    assert balance("cus_1").balance == 10, "stating a code is not what the account is known by"


def test_no_referral_code_is_accepted_while_medusa_is_away(api: TestClient, medusa: FakeMedusa) -> None:
    offer_referral_bonus()
    register(api, medusa, "cus_old", "old@example.com")
    register(api, medusa, "cus_1")
    medusa.away = True
    response = state(api, "cus_1", by="cus_old")
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    medusa.away = False
    assert state(api, "cus_1", by="cus_old").status_code == 201


def test_accounts_that_were_merged_are_one_person(api: TestClient, medusa: FakeMedusa) -> None:
    offer_referral_bonus()
    for name in ("a", "b", "c"):
        register(api, medusa, f"cus_{name}", f"{name}@example.com")
    with transaction() as connection:
        merge_customers(connection, CustomerId("cus_b"), CustomerId("cus_a"), actor="test", now=now())
    assert refusal(state(api, "cus_a", by="cus_b")) == (409, "own_referral_code")
    assert refusal(state(api, "cus_b", by="cus_a")) == (409, "own_referral_code")
    assert state(api, "cus_b", by="cus_c").status_code == 201
    assert refusal(state(api, "cus_a", by="cus_c")) == (409, "already_referred")
    assert refusal(state(api, "cus_c", by="cus_a")) == (409, "referral_circle")


def test_accounts_merged_after_the_code_was_stated_get_no_referral_bonus(api: TestClient, medusa: FakeMedusa) -> None:
    offer_referral_bonus()
    register(api, medusa, "cus_a", "a@example.com")
    register(api, medusa, "cus_b", "b@example.com")
    assert state(api, "cus_b", by="cus_a").status_code == 201
    with transaction() as connection:
        merge_customers(connection, CustomerId("cus_b"), CustomerId("cus_a"), actor="test", now=now())
    settle(paid(order("order_2", customer_id="cus_b")))
    assert balance("cus_a").balance == 10


def paid(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "payment_status": "captured"}


@pytest.mark.parametrize("claimed_by", ["registration", "support", "transfer"])
@pytest.mark.parametrize("paid_first", [True, False])
@pytest.mark.parametrize("batch", [True, False])
def test_a_claimed_guest_order_qualifies_the_claimers_referral(
    api: TestClient, medusa: FakeMedusa, claimed_by: str, paid_first: bool, batch: bool
) -> None:
    offer_referral_bonus()
    register(api, medusa, "cus_old", "old@example.com")
    medusa.add_customer("cus_1", EMAIL, created=real_now())
    assert state(api, "cus_1", by="cus_old").status_code == 201
    orders = [guest("order_1"), guest("order_2")]
    if paid_first:
        orders = [paid(document) for document in orders]
    if batch:
        settle(*orders)
    else:
        for document in orders:
            settle(document)
    assert balance("cus_old").balance == 0, "a guest's order is nobody's yet"
    if claimed_by == "registration":
        deliver_customer_event(api, "customer.created", "cus_1")
    elif claimed_by == "support":
        requested = {"email": EMAIL}
        assert api.post("/admin/dust/customers/cus_1/claim", json=requested, headers=tokens.admin()).status_code == 200
    else:
        orders = [{**document, "customer_id": "cus_1", "customer": {"id": "cus_1", "has_account": True},
                   "version": 2} for document in orders]  # fmt: skip
        settle(*orders)
    if not paid_first:
        assert balance("cus_old").balance == 0
        settle(*(paid({**document, "version": 3}) for document in orders))
    assert (balance("cus_old").balance, balance("cus_1").balance) == (200, 50 + 20)
    settle(*({**paid(document), "version": 4, "status": "canceled"} for document in orders))
    assert (balance("cus_old").balance, balance("cus_1").balance) == (0, 0)
