"""Settling orders: events in any order and number lead to the ledger of the newest facts."""

import random
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bridge.clock import now
from bridge.db import DatabaseDenied, transaction
from bridge.inbox.process_batch import process_batch
from tests.support.deliveries import deliver
from tests.support.ledger import spend
from tests.support.orders import PLACED, line, order, order_event, sample
from tests.support.settling import balance, history, set_rules, settle

pytestmark = pytest.mark.usefixtures("settings")


def test_an_order_earns_its_items_after_discount_without_tax_and_shipping() -> None:
    settle(sample("order_with_promotion_full_fields"))
    assert balance("cus_01M810HP5KVDGGGA6D7TGJ0FQV").balance == 27


def test_a_return_takes_back_the_returned_share() -> None:
    settle(sample("order_with_promotion_full_fields"))
    settle(sample("order_after_return_and_refund"))
    assert balance("cus_01M810HP5KVDGGGA6D7TGJ0FQV").balance == 18


def test_a_refund_without_a_return_takes_back_its_share_of_the_order() -> None:
    document = sample("order_after_refund_without_return")
    settle(document)
    # 60.00 of items, and 71.25 of 81.25 are kept: 52.6.
    assert balance(document["customer_id"]).balance == 52


def test_the_same_facts_again_change_nothing() -> None:
    settle(order())
    again = settle(order())
    assert again["order_1"].change == 0
    assert history() == [("earn", 10)]


def test_a_cancel_takes_back_exactly_what_was_earned() -> None:
    settle(order())
    settle(order(status="canceled", version=2))
    assert history() == [("earn", 10), ("reverse", -10)]
    assert balance().balance == 0


def test_a_cancel_that_comes_first_leaves_nothing() -> None:
    settle(order(status="canceled", version=2))
    assert settle(order())["order_1"].stale
    assert history() == []


def test_a_rule_changed_meanwhile_changes_nothing_for_an_order_already_settled() -> None:
    settle(order())
    set_rules(earn={"rates": {"eur": "5"}})
    settle(order(version=2, lines=[line(quantity=2, returned=1)]))
    assert balance().balance == 10
    settle(order("order_2"))
    assert balance().balance == 60


def test_an_edit_that_adds_earns_the_difference() -> None:
    settle(order())
    settle(order(version=2, lines=[line(), line("ordli_2", price=7)]))
    assert history() == [("earn", 10), ("earn", 7)]


@pytest.mark.parametrize("seed", range(5))
def test_any_order_of_delivery_ends_at_the_newest_facts(seed: int) -> None:
    facts = [order(version=n, lines=[line(quantity=9, returned=n - 1)]) for n in range(1, 8)] * 2
    random.Random(seed).shuffle(facts)
    for document in facts:
        settle(document)
    assert balance().balance == 30


def test_a_batch_uses_only_the_newest_of_one_order() -> None:
    settle(order(version=2, lines=[line(price=3)]), order(), order("order_2"))
    assert history() == [("earn", 3), ("earn", 10)]


def test_the_points_of_an_order_go_with_it_to_another_customer() -> None:
    settle(order())
    settle(order(version=2, customer_id="cus_2"))
    assert (balance("cus_1").balance, balance("cus_2").balance) == (0, 10)


def test_a_currency_without_a_rate_earns_nothing_and_says_so() -> None:
    outcome = settle(order(currency_code="usd"))["order_1"]
    assert outcome.booked == 0
    assert "no earning rate for usd" in str(outcome.note)


def test_a_guest_order_credits_no_customer_and_has_a_note() -> None:
    assert "guest" in str(settle(order(guest=True))["order_1"].note).lower()
    assert balance().balance == 0


def money(total: float, captured: float, refunded: float = 0, *, version: int = 1, status: str) -> dict[str, Any]:
    """An order that costs `total` by now, and what was captured and refunded of it."""
    document = order(lines=[line(price=total)], version=version, payment_status=status)
    kept = captured - refunded
    summary = {"paid_total": captured, "refunded_total": refunded, "transaction_total": kept}
    return document | {"summary": summary, "payment_collections": []}


def test_an_order_of_which_a_part_was_captured_is_not_paid() -> None:
    set_rules(earn={"when": "payment.captured"})
    settle(money(100, 30, status="partially_captured"))
    settle(money(100, 30, 5, status="partially_refunded"))
    assert history() == []
    settle(money(100, 105, 5, status="partially_refunded"))
    assert history() == [("earn", 100)]


def test_what_an_edit_adds_to_a_paid_order_earns_once_it_is_paid() -> None:
    set_rules(earn={"when": "payment.captured"})
    settle(money(100, 100, status="captured"))
    settle(money(500, 100, version=2, status="partially_captured"))
    assert balance().balance == 100
    settle(money(500, 500, version=2, status="captured"))
    assert history() == [("earn", 100), ("earn", 400)]


@pytest.mark.parametrize(
    ("returned", "added", "expected"), [(30, 100, 70), (60, 50, 40), (60, 60, 40), (100, 100, 0), (100, 10, 0)]
)
def test_what_an_edit_adds_after_a_refund_earns_once_it_is_paid(returned: int, added: int, expected: int) -> None:
    set_rules(earn={"when": "payment.captured"})
    left, raised = 100 - returned, 100 - returned + added
    balances = []
    for version, (total, captured) in enumerate([(100, 100), (left, 100), (raised, 100), (raised, 100 + added)], 1):
        refunded = returned if version > 1 else 0
        settle(money(total, captured, refunded, version=version, status="partially_refunded"))
        balances.append(balance().balance)
    assert balances == [100, left, expected, raised]


def test_what_was_refunded_for_a_return_pays_for_nothing_that_an_edit_adds() -> None:
    set_rules(earn={"when": "payment.captured"})
    balances = []
    steps = [(100, 100, 0), (70, 100, 30), (170, 100, 30), (165, 100, 35), (165, 200, 35)]
    for version, (total, captured, refunded) in enumerate(steps, start=1):
        document = money(total, captured, refunded, version=version, status="partially_refunded")
        # 30 were refunded for what came back, and then 5 without a return.
        if refunded == 35:
            line = {"amount": 5, "reference": "payment_collection", "metadata": {"created_in_version": version}}
            document |= {"items": [{**document["items"][0], "subtotal": 170, "total": 170}]}
            document |= {"credit_line_total": 5, "credit_lines": [line]}
        settle(document)
        balances.append(balance().balance)
    assert balances == [100, 70, 70, 65, 165]


def with_gift_card(price: float, card: float, captured: float, *, version: int) -> dict[str, Any]:
    """An order that a gift card paid in part when it was placed."""
    document = money(price, captured, version=version, status="partially_captured")
    line = {"amount": card, "reference": "gift-card", "metadata": None}
    return document | {"total": price - card, "credit_line_total": card, "credit_lines": [line]}


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize(
    ("include_credit", "card", "expected"),
    [(True, 50, (100, 100, 200)), (False, 50, (50, 50, 150)), (True, 100, (100, 100, 200)), (False, 100, (0, 0, 100))],
)
def test_an_edit_of_an_order_that_a_gift_card_paid_takes_nothing_of_it_back(
    include_credit: bool, card: float, expected: tuple[int, ...], asked: bool
) -> None:
    set_rules(earn={"when": "payment.captured", "basis": {"include_credit": include_credit}})
    balances = []
    for version, price, captured in ((1, 100, 100 - card), (2, 200, 100 - card), (3, 200, 200 - card)):
        settle(with_gift_card(price, card, captured, version=version), asked=asked)
        balances.append(balance().balance)
    assert tuple(balances) == expected


def test_a_free_order_is_no_longer_paid_once_it_costs_something() -> None:
    set_rules(earn={"when": "payment.captured", "fixed": [{"product_id": "prod_gift", "dust": 7}]})
    gift = line(product_id="prod_gift", price=10, discount=10, code="GIFT")
    free = order(lines=[gift], payment_status="not_paid")
    settle(free)
    assert balance().balance == 7
    settle(order(lines=[gift, line("ordli_2", price=500)], version=2, payment_status="not_paid"))
    assert balance().balance == 0
    settle(order(lines=[gift, line("ordli_2", price=500)], version=3, payment_status="captured"))
    assert balance().balance == 507


@pytest.mark.parametrize(
    ("when", "change"),
    [("payment.captured", {"payment_status": "captured"}), ("order.completed", {"status": "completed"})],
)
def test_the_programme_can_wait_before_an_order_earns(when: str, change: dict[str, Any]) -> None:
    set_rules(earn={"when": when})
    settle(order())
    assert balance().balance == 0
    # A capture changes neither `version` nor `updated_at`, so facts of the same age are compared again.
    settle(order(**change))
    assert balance().balance == 10
    settle(order())
    assert balance().balance == 10


def test_tax_and_shipping_count_when_the_programme_says_so() -> None:
    document = sample("order_with_promotion_full_fields")
    set_rules(earn={"basis": {"include_tax": True, "include_shipping": True}})
    settle(document)
    assert balance(document["customer_id"]).balance == int(Decimal("33.75") + Decimal("12.5"))


def test_multipliers_and_exclusions_go_by_line() -> None:
    set_rules(
        earn={
            "excluded_product_ids": ["prod_gift"],
            "multipliers": [
                {"name": "double shirts", "factor": "2", "product_ids": ["prod_shirt"]},
                {"name": "hats", "factor": "3", "category_ids": ["pcat_hats"]},
                {"name": "over", "factor": "100", "ends_at": PLACED.isoformat()},
            ],
        }
    )
    lines = [
        line("l1", product_id="prod_shirt", price=10),
        line("l2", product_id="prod_gift", price=10),
        line("l3", product_id="prod_cap", price=10, categories=("pcat_hats",)),
        line("l4", product_id="prod_plain", price=10),
    ]
    settle(order(lines=lines))
    assert balance().balance == 20 + 0 + 30 + 10


@pytest.mark.parametrize(("rounding", "dust"), [("floor", 9), ("half_up", 10), ("ceiling", 10)])
def test_rounding_is_done_once_for_the_whole_order(rounding: str, dust: int) -> None:
    set_rules(earn={"rounding": rounding})
    settle(order(lines=[line("l1", price=4.75), line("l2", price=4.75)]))
    assert balance().balance == dust


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Apia"])
def test_points_are_good_until_the_end_of_a_day_in_the_programmes_time_zone(zone: str) -> None:
    set_rules(time_zone=zone, earn={"expires_after_days": 30})
    settle(order())
    (expiring,) = balance().expiring
    shown, last = PLACED.astimezone(ZoneInfo(zone)), expiring.expires_at.astimezone(ZoneInfo(zone))
    assert last.date() == shown.date() + timedelta(days=30)
    assert (last + timedelta.resolution).time() == time.min


@pytest.mark.parametrize("together", [True, False])
def test_a_days_limit_is_for_a_day_in_the_programmes_time_zone(together: bool) -> None:
    zone = ZoneInfo("America/New_York")
    set_rules(time_zone=zone.key, earn={"limits": {"per_day": 15}})
    midnight = datetime.combine(PLACED.astimezone(zone).date(), time.min, tzinfo=zone).astimezone(UTC)
    placed = [midnight - timedelta(hours=1), midnight, midnight + timedelta(hours=1)]
    documents = [order(f"order_{number}", placed=at) for number, at in enumerate(placed)]
    for batch in [documents] if together else [[document] for document in documents]:
        settle(*batch)
    assert balance().balance == 10 + 10 + 5


def test_pending_dust_matures_on_its_day_and_expires_on_its_day(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.clock import moved
    from workers.upkeep import mature_and_expire

    set_rules(earn={"pending_days": 14, "expires_after_days": 30})
    placed = now()
    settle(order(placed=placed))
    assert (balance().balance, balance().pending) == (0, 10)
    with moved(timedelta(days=15)):
        mature_and_expire()
        assert (balance().balance, balance().pending) == (10, 0)
        expiring = balance().expiring[0]
        assert (expiring.amount, expiring.expires_at.date()) == (10, (placed + timedelta(days=30)).date())
    with moved(timedelta(days=31)):
        mature_and_expire()
        mature_and_expire()
        assert balance().balance == 0


def test_within_balance_waives_and_stores_spent_points() -> None:
    set_rules(reversal={"negative_balance": "within_balance"})
    settle(order())
    spend(8)
    all_is_back = [line(returned=1)]
    settle(order(version=2, lines=all_is_back))
    assert balance().balance == 0
    settle(order(version=3, lines=all_is_back))
    settle(order(version=4))
    assert balance().balance == 2


def test_a_canceled_order_stays_canceled() -> None:
    settle(order())
    settle(order(status="canceled", version=2))
    assert settle(order(version=3))["order_1"].stale
    assert balance().balance == 0


def run_as(role: str, statement: str) -> None:
    with transaction() as connection:
        connection.execute(text(role))
        connection.execute(text(statement))


def test_no_role_can_change_ledger_rows() -> None:
    set_rules()
    settle(order())
    for statement in (
        "UPDATE dust_transaction SET amount = 1000",
        "DELETE FROM dust_transaction",
        "TRUNCATE dust_transaction",
        "DELETE FROM dust_lot_use",
        "UPDATE programme_version SET author = 'me'",
    ):
        for role in ("SET ROLE dust_app", "RESET ROLE"):
            with pytest.raises((DBAPIError, DatabaseDenied), match=r"append-only|permission denied"):
                run_as(role, statement)


def test_events_are_handled_through_the_inbox_and_say_what_came_of_them(api: TestClient) -> None:
    deliver(api, order_event(order()), event_id="msg_1")
    deliver(api, order_event(order(version=2, status="canceled"), "order.canceled"), event_id="msg_2")
    assert process_batch().taken == 2
    with transaction() as connection:
        rows = connection.execute(text("SELECT id, state, reason FROM webhook_event ORDER BY id")).all()
    assert [(row.id, row.state) for row in rows] == [("msg_1", "handled"), ("msg_2", "handled")]
    assert "order_1" in rows[0].reason


def test_an_order_with_a_negative_total_is_paid_only_while_it_is_negative() -> None:
    """Medusa's total falls below 0 when an edit takes away more than is left after a forgiven amount."""
    set_rules(earn={"when": "payment.captured"})
    unpaid = {"payment_collections": [], "summary": {"paid_total": 0, "refunded_total": 0, "transaction_total": 0}}
    for version, price in enumerate((100, 40, 500), start=1):
        lines, minutes = [line(price=price)], timedelta(minutes=version)
        document = order(lines=lines, version=version, updated=PLACED + minutes, credit=50 if version > 1 else 0)
        later = {"created_in_version": version}
        credit = [{"amount": 50, "reference": "payment_collection", "metadata": later}] if version > 1 else []
        settle(document | unpaid | {"credit_lines": credit})
        assert balance().balance == 0
