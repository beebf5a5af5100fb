"""Points of guests: held in escrow, adjusted with the order, claimed once with a proof, and expired."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from bridge.clock import now, real_now
from bridge.db import transaction
from bridge.ids import CustomerId
from bridge.inbox.compare_with_medusa import check_due
from bridge.inbox.process_batch import process_batch
from bridge.inbox.process_one import process_event
from bridge.inbox.reconcile import reconcile
from bridge.medusa.client import get_medusa
from bridge.medusa.orders import read_order
from bridge.operations.audit import audit
from bridge.reports.liability import liability
from bridge.settlement.claims import Claimed, claim_orders, claimable_orders
from bridge.settlement.email_hash import email_hash_key, hash_email, normalise_email, replace_key
from bridge.settlement.tables import EscrowState, Proof
from tests.support import clock, tokens
from tests.support.deliveries import deliver
from tests.support.guests import EMAIL, deliver_customer_event, escrow, guest, register
from tests.support.medusa import FakeMedusa, cart_line
from tests.support.orders import PLACED, event, line, order, order_event
from tests.support.settling import balance, set_rules, settle
from workers.upkeep import escrow as sweep

LONG_AGO = PLACED - timedelta(days=1)

pytestmark = pytest.mark.usefixtures("settings")


def claim(customer_id: str = "cus_1", email: str = EMAIL) -> Claimed:
    with transaction() as connection:
        orders = claimable_orders(connection, email, now=now())
        return claim_orders(connection, CustomerId(customer_id), orders, Proof.SUPPORT, now=now())


def test_a_guests_order_puts_points_into_escrow_and_posts_none() -> None:
    settled = settle(guest())["order_1"]
    end = PLACED + timedelta(days=90)
    note = f"A guest's order: 10 points can be claimed until {end:%d %b %Y}."
    assert (settled.booked, settled.note) == (0, note)
    assert (escrow().state, escrow().dust) == (EscrowState.WAITING, 10)
    assert balance("cus_guest").balance == 0


def test_the_escrow_follows_the_order() -> None:
    settle(guest(lines=[line(quantity=5)]))
    settle(guest(version=2, lines=[line(quantity=5, returned=2)]))
    assert escrow().dust == 30
    settle(guest(version=3, status="canceled"))
    assert escrow().dust == 0
    assert settle(guest(version=2))["order_1"].stale


def test_points_in_escrow_are_reported_at_any_moment_and_are_no_balance() -> None:
    before = now()
    clock.advance(timedelta(minutes=1))
    settle(guest(), guest("order_2", lines=[line(price=7)]))
    with transaction() as connection:
        then, later = liability(connection, before), liability(connection, now())
    assert (then.escrow, later.escrow, later.outstanding) == (0, 17, 0)


def test_a_claim_books_the_dust_and_the_order_is_the_customers_from_then_on() -> None:
    settle(guest(lines=[line(quantity=5)]))
    assert claim().orders == {"order_1": 50}
    assert (balance().balance, escrow().state, escrow().dust) == (50, EscrowState.CLAIMED, 0)
    settle(guest(version=2, lines=[line(quantity=5, returned=2)]))
    assert balance().balance == 30
    settle(guest(version=3, status="canceled"))
    assert balance().balance == 0


def test_money_spent_as_a_guest_counts_for_the_claimer_after_the_next_comparison(medusa: FakeMedusa) -> None:
    medusa.orders["order_1"] = guest()
    settle(guest())
    check_due(get_medusa())
    claim()
    check_due(get_medusa())
    with transaction() as connection:
        assert connection.scalar(text("SELECT spent FROM order_settlement")) == 10


def test_claimed_points_have_the_dates_of_their_order() -> None:
    set_rules(earn={"pending_days": 200, "expires_after_days": 1000})
    settle(guest())
    set_rules(earn={"pending_days": 1})
    claim()
    with transaction() as connection:
        lot = connection.execute(text("SELECT matures_at, expires_at FROM dust_lot")).one()
    midnight = PLACED.replace(hour=0, minute=0, second=0, microsecond=0)
    assert lot == (PLACED + timedelta(days=200), midnight + timedelta(days=1001) - timedelta.resolution)
    assert balance().pending == 10


def test_an_order_that_earns_only_later_is_claimed_before_it_does() -> None:
    set_rules(earn={"when": "payment.captured"})
    settle(guest())
    assert claim().orders == {"order_1": 0}
    settle(guest(version=2, payment_status="captured"))
    assert balance().balance == 10


def test_another_e_mail_claims_nothing() -> None:
    settle(guest())
    assert claim(email="grace@example.org").orders == {}
    assert claim(email="  gRACE@EXAMPLE.COM ").orders == {"order_1": 10}


@pytest.mark.parametrize("other", ["straße@x.de", "\u212aelly@x.de", "\uff47race@x.de"])
def test_addresses_that_are_equal_only_by_case_folding_differ(other: str) -> None:
    plain = {"straße@x.de": "strasse@x.de", "\u212aelly@x.de": "kelly@x.de", "\uff47race@x.de": "grace@x.de"}[other]
    assert normalise_email(other) != normalise_email(plain)


@pytest.mark.parametrize(
    ("encoded", "plain"),
    [
        ("ada@XN--mnchen-3ya.de", "ada@münchen.de"),
        ("ada@mail.xn--strae-oqa.de", "ada@mail.straße.de"),
        ("xn--mnchen-3ya@x.de", "xn--mnchen-3ya@x.de"),
        # These look like encoded domains, and are not.
        ("ada@xn--.de", "ada@xn--.de"),
        ("ada@xn--mnchen-\ud800.de", "ada@xn--mnchen-\ud800.de"),
        ("ada@xn--99999999.de", "ada@xn--99999999.de"),
        ("ada@xn--ada-.de", "ada@xn--ada-.de"),
    ],
)
def test_a_domain_in_its_encoded_form_is_the_same(encoded: str, plain: str) -> None:
    assert normalise_email(encoded) == plain
    assert normalise_email(plain) == plain


def test_an_address_with_half_a_surrogate_pair_is_harmless() -> None:
    settle(guest(email="\ud800@x.de"))
    assert escrow().dust == 10


def test_a_transfer_gives_the_order_and_its_dust_to_the_account() -> None:
    settle(guest())
    settle(order(customer_id="cus_1", email=EMAIL, version=2))
    assert (balance().balance, escrow().proof) == (10, Proof.TRANSFER)
    settle(order(customer_id="cus_1", email=EMAIL, version=3, status="canceled"))
    assert balance().balance == 0


def test_an_order_stays_the_guests_when_medusa_has_deleted_the_guest() -> None:
    settle(guest(), guest("order_2"))
    claim()
    settle(guest("order_3"))
    settle(*(guest(order_id, version=2) | {"customer": None} for order_id in ("order_1", "order_3")))
    assert (balance("cus_1").balance, balance("cus_guest").balance) == (20, 0)
    assert (escrow("order_3").state, escrow("order_3").dust) == (EscrowState.WAITING, 10)
    settle(guest("order_3", version=3, customer_id="cus_1") | {"customer": None})
    settle(guest("order_3", version=4, customer_id="cus_1") | {"customer": None})
    assert balance("cus_1").balance == 30


def test_a_transfer_of_one_order_claims_no_other() -> None:
    settle(guest(), guest("order_2"))
    settle(order(customer_id="cus_1", email=EMAIL, version=2))
    assert (balance().balance, escrow("order_2").state) == (10, EscrowState.WAITING)


def test_a_transfer_after_a_claim_moves_the_dust() -> None:
    settle(guest())
    claim("cus_2")
    settle(order(customer_id="cus_1", email=EMAIL, version=2))
    assert (balance("cus_1").balance, balance("cus_2").balance) == (10, 0)
    assert escrow().customer_id == "cus_1"


def test_an_escrow_expires_after_its_time_and_stays_expired() -> None:
    set_rules(guests={"escrow_days": 1})
    settle(guest(placed=now() - timedelta(hours=23)))
    assert sweep() == 0
    _turn_back("order_1", hours=2)
    assert claim().orders == {}
    assert sweep() == 1
    assert (escrow().state, escrow().dust) == (EscrowState.EXPIRED, 0)
    facts = {"placed": now() - timedelta(hours=25), "version": 2, "updated": now()}
    assert "in time" in str(settle(guest(**facts))["order_1"].note)
    settle(order(customer_id="cus_1", **{**facts, "version": 3}))
    settle(order(customer_id="cus_1", **{**facts, "version": 4}))
    assert balance().balance == 0


def test_an_order_whose_time_was_over_before_it_was_known_earns_nothing() -> None:
    set_rules(guests={"escrow_days": 1})
    settle(guest(placed=now() - timedelta(days=2)))
    assert escrow().state is EscrowState.EXPIRED


def _turn_back(order_id: str, *, hours: int) -> None:
    with transaction() as connection:
        connection.execute(
            text("UPDATE guest_escrow SET expires_at = expires_at - make_interval(hours => :hours)"), {"hours": hours}
        )


def test_a_guest_order_without_an_e_mail_has_a_note() -> None:
    document = {**guest(), "email": None}
    assert "without an e-mail" in str(settle(document)["order_1"].note)


def test_two_claims_at_once_have_one_effect() -> None:
    settle(*(guest(f"order_{number}") for number in range(20)))
    start = Barrier(4)

    def claim_as(customer_id: str) -> int:
        start.wait()
        return claim(customer_id).dust

    with ThreadPoolExecutor(4) as pool:
        claimed = list(pool.map(claim_as, ["cus_1", "cus_2", "cus_1", "cus_2"]))
    assert sum(claimed) == 200
    assert balance("cus_1").balance + balance("cus_2").balance == 200


@pytest.mark.parametrize("round_", range(5))
def test_a_claim_concurrent_with_a_cancel_leaves_no_points(round_: int) -> None:
    settle(guest())
    start = Barrier(2)

    def do(action: Any) -> None:
        start.wait()
        action()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(do, [claim, lambda: settle(guest(version=2, status="canceled"))]))
    assert (balance().balance, escrow().dust, escrow().state) == (0, 0, EscrowState.CLAIMED)


def test_the_sweep_and_a_claim_at_once_end_the_same(medusa: FakeMedusa) -> None:
    settle(*(guest(f"order_{number}") for number in range(10)))
    with transaction() as connection:
        soon = now() + timedelta(milliseconds=50)
        connection.execute(text("UPDATE guest_escrow SET expires_at = :soon"), {"soon": soon})
    with clock.running(), ThreadPoolExecutor(3) as pool:
        results = [pool.submit(claim), pool.submit(sweep), pool.submit(claim)]
        [result.result() for result in results]
    assert audit() == []


# When an account's e-mail is a proof.


def test_registering_with_a_guests_e_mail_proves_nothing(api: TestClient, medusa: FakeMedusa) -> None:
    settle(guest())
    register(api, medusa)
    assert balance().balance == 0
    assert ("GET", "/admin/customers/cus_1") not in medusa.calls


def test_with_verified_registrations_a_registration_claims(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(guests={"claim": "registration"})
    settle(guest())
    register(api, medusa)
    assert (balance().balance, escrow().proof) == (10, Proof.REGISTRATION)
    register(api, medusa)
    assert balance().balance == 10


def test_an_order_that_becomes_known_after_the_registration_is_claimed_by_the_sweep(
    api: TestClient, medusa: FakeMedusa
) -> None:
    set_rules(guests={"claim": "registration"})
    register(api, medusa)
    settle(guest())
    assert balance().balance == 0
    assert sweep() == 1
    assert (balance().balance, sweep()) == (10, 0)


def test_a_customer_without_an_account_claims_nothing(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(guests={"claim": "account"})
    settle(guest())
    medusa.add_customer("cus_1", EMAIL, has_account=False, created=real_now())
    deliver_customer_event(api, "customer.created", "cus_1")
    assert balance().balance == 0


@pytest.mark.parametrize(("claims", "dust"), [("transfer", 0), ("registration", 0), ("account", 10)])
def test_a_changed_e_mail_claims_only_where_accounts_are_verified(
    api: TestClient, medusa: FakeMedusa, claims: str, dust: int
) -> None:
    set_rules(guests={"claim": claims})
    register(api, medusa, email="other@example.com")
    settle(guest())
    medusa.edit_customer("cus_1", email=EMAIL)
    deliver_customer_event(api, "customer.updated", "cus_1")
    sweep()
    assert balance().balance == dust


def test_a_former_e_mail_claims_nothing(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(guests={"claim": "registration"})
    register(api, medusa)
    medusa.edit_customer("cus_1", email="other@example.com")
    deliver_customer_event(api, "customer.updated", "cus_1")
    settle(guest())
    sweep()
    assert balance().balance == 0


def test_a_registration_waits_while_medusa_is_away(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(guests={"claim": "registration"})
    settle(guest())
    medusa.away = True
    medusa.add_customer("cus_1", EMAIL, created=real_now())
    deliver(api, event("customer.created", {"id": "cus_1"}), event_id="msg_1")
    assert process_batch().split_off == ("msg_1",)
    medusa.away = False
    process_event("msg_1")
    assert balance().balance == 10


# Orders settled before, and changes without an event.


def test_reconcile_finds_an_accepted_transfer(api: TestClient, medusa: FakeMedusa) -> None:
    deliver(api, order_event(guest()))
    process_batch()
    medusa.orders["order_1"] = order(customer_id="cus_1", email=EMAIL, updated=PLACED + timedelta(hours=1))
    assert reconcile(get_medusa(), since=LONG_AGO).drifted == ["order_1"]
    process_batch()
    assert balance().balance == 10


def test_guests_orders_from_before_there_was_an_escrow_are_found_again(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.orders["order_1"] = guest()
    settle(guest())
    with transaction() as connection:
        connection.execute(text("UPDATE order_settlement SET escrowed = 0"))
    _as_owner("ALTER TABLE guest_escrow_entry DISABLE TRIGGER USER", "DELETE FROM guest_escrow_entry",
              "DELETE FROM guest_escrow", "ALTER TABLE guest_escrow_entry ENABLE TRIGGER USER")  # fmt: skip
    assert reconcile(get_medusa(), since=LONG_AGO).drifted == ["order_1"]
    process_batch()
    assert escrow().dust == 10
    assert reconcile(get_medusa(), since=LONG_AGO).drifted == []


def _as_owner(*statements: str) -> None:
    with transaction() as connection:
        connection.execute(text("RESET ROLE"))
        for statement in statements:
            connection.execute(text(statement))
        connection.execute(text("SET ROLE dust_app"))


def test_after_a_new_key_reconcile_hashes_the_e_mails_again(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.orders["order_1"] = guest()
    settle(guest())
    with transaction() as connection:
        before = email_hash_key(connection, now=now())
        assert replace_key(connection, now=now()) == 1
        assert email_hash_key(connection, now=now()) != before
    assert claim().orders == {}
    assert reconcile(get_medusa(), since=LONG_AGO).drifted == ["order_1"]
    process_batch()
    assert claim().orders == {"order_1": 10}


def test_the_e_mail_is_nowhere_but_in_the_inbox(api: TestClient, medusa: FakeMedusa) -> None:
    settle(guest())
    with transaction() as connection:
        stored = connection.scalar(text("SELECT email_hash FROM guest_escrow"))
        assert bytes(stored) == hash_email(email_hash_key(connection, now=now()), EMAIL.lower())
        assert EMAIL.lower().encode() not in bytes(stored)
    assert EMAIL not in repr(read_order(guest())) + repr(escrow())


# The admin API.


@pytest.fixture
def waiting(api: TestClient, medusa: FakeMedusa) -> TestClient:
    settle(guest(), guest("order_2", lines=[line(price=7)]), order("order_3", customer_id="cus_2"))
    return api


def ask(api: TestClient, method: str, path: str, body: Any = None) -> Any:
    answer = api.request(method, f"/admin/dust{path}", json=body, headers=tokens.admin())
    assert answer.status_code < 300, answer.text
    return answer.json()


def test_operators_see_escrows(waiting: TestClient) -> None:
    page = ask(waiting, "GET", "/escrow?limit=1")
    assert (page["waiting_orders"], page["waiting_dust"], page["escrows"][0]["order_id"]) == (2, 17, "order_2")
    page = ask(waiting, "GET", f"/escrow?limit=1&cursor={page['next_cursor']}")
    assert [escrow["order_id"] for escrow in page["escrows"]] == ["order_1"]
    assert (page["next_cursor"], EMAIL.lower() in str(page).lower()) == (None, False)
    overview = ask(waiting, "GET", "/overview")
    assert (overview["escrow"], overview["escrow_orders"], overview["outstanding"]) == (17, 2, 10)
    assert ask(waiting, "GET", "/reports/liability")["escrow"] == 17
    assert waiting.get("/admin/dust/escrow/order_3", headers=tokens.admin()).json()["code"] == "unknown_escrow"
    assert waiting.get("/admin/dust/escrow").status_code == 401


def test_support_claims_for_a_customer_who_proved_it(waiting: TestClient) -> None:
    requested = {"email": EMAIL}
    preview = ask(waiting, "POST", "/customers/cus_1/claim", {**requested, "dry_run": True})
    assert (preview["dust"], balance().balance) == (17, 0)
    done = ask(waiting, "POST", "/customers/cus_1/claim", requested)
    assert done["orders"] == [{"order_id": "order_1", "dust": 10}, {"order_id": "order_2", "dust": 7}]
    assert (balance().balance, ask(waiting, "POST", "/customers/cus_1/claim", requested)["dust"]) == (17, 0)
    wrong = waiting.post("/admin/dust/customers/cus_1/claim", json={"email": "nobody"}, headers=tokens.admin())
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "email")


def test_nothing_is_claimed_for_a_customer_who_was_erased(waiting: TestClient) -> None:
    ask(waiting, "POST", "/customers/cus_1/erase")
    for more in ({}, {"dry_run": True}):
        refused = waiting.post(
            "/admin/dust/customers/cus_1/claim", json={"email": EMAIL, **more}, headers=tokens.admin()
        )
        assert (refused.status_code, refused.json()["code"]) == (409, "customer_erased")
    assert (balance().balance, escrow().state) == (0, EscrowState.WAITING)


def test_a_claim_is_explained_in_sentences(waiting: TestClient) -> None:
    ask(waiting, "POST", "/customers/cus_1/claim", {"email": EMAIL})
    today = f"{now():%d %b %Y}"
    sentences = [step["sentence"] for step in ask(waiting, "GET", "/customers/cus_1/explain")["steps"]]
    assert f"ordered as a guest, claimed on {today} by the shop's support" in sentences[0]
    assert ask(waiting, "GET", "/escrow/order_1")["sentences"] == [
        f"{today}: 10 points of order #93 put into escrow for the guest.",
        f"{today}: 10 points went to the customer who claimed them.",
        "The order counts for the customer who claimed it (proof: support).",
    ]


def test_an_export_says_what_was_claimed_and_no_hash(waiting: TestClient) -> None:
    ask(waiting, "POST", "/customers/cus_1/claim", {"email": EMAIL})
    document = ask(waiting, "GET", "/customers/cus_1/export")
    assert [row["order_id"] for row in document["orders_as_guest"]] == ["order_1", "order_2"]
    assert document["proved_emails"][0]["proof"] == "support"
    assert "email_hash" not in str(document)


def test_a_guests_quote_says_what_would_go_into_escrow(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.add_cart(lines=[cart_line(total=25)])
    medusa.carts["cart_1"] |= {"customer_id": "cus_guest", "customer": {"id": "cus_guest", "has_account": False}}
    answer = api.post("/store/dust/quote/guest", json={"cart_id": "cart_1"})
    assert answer.json() == {
        "currency_code": "eur",
        "escrow": 25,
        "breakdown": [{"rule": "rate", "dust": 25}],
        "account_items": [],
        "escrow_days": 90,
    }
    medusa.carts["cart_1"]["customer"]["has_account"] = True
    assert api.post("/store/dust/quote/guest", json={"cart_id": "cart_1"}).status_code == 404
    medusa.carts["cart_1"] |= {"customer_id": None, "customer": None}
    assert api.post("/store/dust/quote/guest", json={"cart_id": "cart_1"}).status_code == 200
