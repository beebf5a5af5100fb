"""A preview says what a cancel, a return or a refund will do to the customer's points, and changes nothing."""

from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId
from bridge.ledger.adjust import adjust_balance
from bridge.ledger.queries import read_balance
from bridge.medusa.orders import Order, read_order
from bridge.medusa.previewed_orders import ImpossibleChange, OrderChange, changed, with_open_change
from bridge.settlement.preview import Preview, preview_order
from tests.support import tokens
from tests.support.medusa import FakeMedusa
from tests.support.orders import line, order, sample
from tests.support.redemptions import redeem_points
from tests.support.referrals import bought, refer, set_referral_bonus
from tests.support.settling import balance, set_rules, settle

EXAMPLES = count()

pytestmark = pytest.mark.usefixtures("settings")


def exact(document: Any) -> Any:
    """The document with `Decimal` numbers, as the client reads it."""
    if isinstance(document, dict):
        return {name: exact(value) for name, value in document.items()}
    if isinstance(document, list):
        return [exact(item) for item in document]
    return Decimal(str(document)) if isinstance(document, float) else document


def preview(document: dict[str, Any], **change: Any) -> Preview:
    order_change = OrderChange(**{"returns": {}, **change})
    with transaction() as connection:
        before = connection.execute(text("SELECT * FROM dust_transaction")).all()
        effect = preview_order(connection, read_order(changed(exact(document), order_change, now=now())), now=now())
        assert connection.execute(text("SELECT * FROM dust_transaction")).all() == before
    return effect


def test_a_cancel_takes_back_what_was_earned() -> None:
    document = order(lines=[line(price=30)])
    settle(document)
    effect = preview(document, cancel=True)
    assert (effect.earned_taken_back, effect.before.balance, effect.after.balance) == (30, 30, 0)
    assert balance().balance == 30
    settle(order(lines=[line(price=30)], status="canceled", version=2))
    assert balance().balance == effect.after.balance


def test_a_refund_without_a_return_takes_back_its_share() -> None:
    after = sample("order_after_refund_without_return")
    paid = {**after["summary"], "transaction_total": 81.25, "refunded_total": 0, "credit_line_total": 0}
    before = {**after, "version": after["version"] - 1, "total": 81.25, "credit_line_total": 0, "summary": paid}
    settle(before)
    effect = preview(before, refund=Decimal(10))
    # 60.00 of items, and 71.25 of 81.25 are kept: 52.6.
    assert (effect.before.balance, effect.earned_taken_back, effect.after.balance) == (60, 8, 52)


def test_a_return_of_a_captured_order_gives_what_medusas_return_gives() -> None:
    after = sample("order_after_return_and_refund")
    item = after["items"][0]
    whole = {name: item[name] * 2 for name in ("total", "subtotal", "tax_total", "discount_total", "discount_subtotal")}
    before_item = {**item, **whole, "detail": {**item["detail"], "return_received_quantity": 0}}
    paid = {**after["summary"], "transaction_total": 46.25, "refunded_total": 0}
    items = [before_item, *after["items"][1:]]
    before = {**after, "version": 1, "items": items, "total": 46.25, "summary": paid, "returns": []}
    with_return = changed(exact(before), OrderChange(returns={item["id"]: Decimal(1)}), now=now())
    expected = read_order(after)
    for ours, theirs in zip(read_order(with_return).lines, expected.lines, strict=True):
        assert (ours.net, ours.gross, ours.units, ours.code_uses) == (
            theirs.net,
            theirs.gross,
            theirs.units,
            theirs.code_uses,
        )
    assert read_order(with_return).money_kept == expected.money_kept
    assert with_return["total"] == Decimal(str(after["total"]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"returns": {"ordli_9": Decimal(1)}}, "no line item ordli_9"),
        ({"returns": {"ordli_1": Decimal(3)}}, "3 of .* are too many: the customer has 2"),
        ({"refund": Decimal(1000)}, "more than the"),
    ],
)
def test_an_impossible_change_is_refused(change: dict[str, Any], words: str) -> None:
    document = order(lines=[line(quantity=2)])
    document["summary"] = {"paid_total": 20, "transaction_total": 20, "refunded_total": 0}
    with pytest.raises(ImpossibleChange, match=words):
        changed(exact(document), OrderChange(**{"returns": {}, **change}), now=now())


@pytest.mark.system
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    cents=st.integers(1, 20_000),
    quantity=st.integers(1, 6),
    returned=st.integers(0, 3),
    more=st.integers(0, 3),
    discount=st.sampled_from([0, 0.25]),
    cancel=st.booleans(),
    spent=st.integers(0, 300),
)
def test_the_settlement_that_follows_equals_the_preview(
    cents: int, quantity: int, returned: int, more: int, discount: float, cancel: bool, spent: int
) -> None:
    assume(returned + more <= quantity)
    example = next(EXAMPLES)
    customer_id = CustomerId(f"cus_{example}")
    off = round(discount * cents / 100 * quantity, 2)

    def as_of(returned: int, **changes: Any) -> dict[str, Any]:
        code = "COUPON" if off else None
        item = line(price=cents / 100, quantity=quantity, returned=returned, discount=off, code=code)
        document = order(f"order_{example}", customer_id=customer_id, lines=[item], **changes)
        document["summary"] = None
        return document

    before = as_of(returned)
    settle(before)
    if spent:
        details = {"reason": "spent", "description": "", "idempotency_key": "spent", "actor": "test"}
        with transaction() as connection:
            spent = min(spent, read_balance(connection, customer_id).available)
            if spent:
                adjust_balance(connection, customer_id, -spent, **details, now=now())
    change = {"cancel": True} if cancel else {"returns": {"ordli_1": Decimal(more)}}
    effect = preview(before, **change)
    settle(as_of(returned + (0 if cancel else more), version=2, status="canceled" if cancel else "pending"))
    assert balance(customer_id).balance == effect.after.balance
    assert effect.before.balance - effect.after.balance == effect.earned_taken_back


def test_a_return_of_more_than_was_paid_with_money_refunds_what_was() -> None:
    """A gift card paid 50.00 of 100.00, and goods for 60.00 come back."""
    document = order(lines=[line(price=60), line("ordli_2", price=40)], credit=50)
    document["credit_lines"] = [{"amount": 50, "reference": "gift_card", "metadata": None}]
    document["summary"] = {"paid_total": 50, "transaction_total": 50, "refunded_total": 0}
    settle(document)
    effect = preview(document, returns={"ordli_1": Decimal(1)})
    assert (effect.before.balance, effect.earned_taken_back, effect.after.balance) == (100, 60, 40)
    returned = order(lines=[line(price=60, returned=1), line("ordli_2", price=40)], credit=50, version=2)
    refunded = {"paid_total": 50, "transaction_total": 0, "refunded_total": 50}
    settle(returned | {"credit_lines": document["credit_lines"], "summary": refunded})
    assert balance().balance == effect.after.balance


OPEN_CHANGES = sample("orders_with_open_changes")


def facts(order: Order) -> Order:
    """The order without what differs at each read."""
    return replace(order, version=0, updated_at=now())


@pytest.mark.parametrize("name", OPEN_CHANGES)
def test_an_open_change_gives_what_its_confirmation_gave_in_medusa(name: str) -> None:
    case = exact(OPEN_CHANGES[name])
    products = {item["product_id"]: item["product"] for item in case["after"]["items"]}
    ours = read_order(with_open_change(case["open"], case["preview"], products, now=now()))
    assert facts(ours) == facts(read_order(case["after"])) != facts(read_order(case["open"]))


def test_the_admin_api_previews_an_open_order_edit(api: TestClient, medusa: FakeMedusa) -> None:
    """A line of 20.00 goes, a hoodie of 40.00 comes, whose category earns double; one of two shirts of 10.00 stays."""
    double = {"name": "double", "factor": "2", "category_ids": ["pcat_hoodies"]}
    set_rules(earn={"rates": {"eur": "1"}, "multipliers": [double]})
    case = OPEN_CHANGES["order edit"]
    [hoodie] = [item["product_id"] for item in case["preview"]["items"] if item["title"] == "Hoodie"]
    attributes = {"id": hoodie, "collection_id": None, "categories": [{"id": "pcat_hoodies"}]}
    settle(case["open"])
    order_id = case["open"]["id"]
    medusa.orders[order_id], medusa.open_changes[order_id] = case["open"], case["preview"]
    medusa.products[hoodie] = attributes
    effect = ask(api, order_id, open_change=True).json()
    after = case["after"]
    settle(
        {**after, "items": [i | {"product": attributes} if i["product_id"] == hoodie else i for i in after["items"]]}
    )
    assert (effect["balance_before"], effect["balance_after"], effect["earned_added"]) == (40, 90, 50)
    assert balance(case["open"]["customer_id"]).balance == 90


def test_an_order_without_an_open_change(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.orders["order_1"] = medusa.open_changes["order_1"] = order()
    refused = ask(api, "order_1", open_change=True)
    assert (refused.status_code, refused.json()["code"]) == (422, "impossible_change")
    assert "no open edit" in refused.json()["detail"]
    assert ask(api, "order_1", open_change=True, cancel=True).status_code == 422


def ask(api: TestClient, order_id: str, **change: Any) -> Any:
    return api.post(f"/admin/dust/orders/{order_id}/preview", json=change, headers=tokens.admin())


def test_the_admin_api_previews_a_return(api: TestClient, medusa: FakeMedusa) -> None:
    document = order(lines=[line(price=12, quantity=3)])
    document["summary"] = {"paid_total": 36, "transaction_total": 36, "refunded_total": 0}
    medusa.orders["order_1"] = document
    settle(document)
    response = ask(api, "order_1", returns=[{"line_item_id": "ordli_1", "quantity": 2}])
    assert response.status_code == 200, response.text
    assert response.json() == {
        "order_id": "order_1",
        "customer_id": "cus_1",
        "earned_taken_back": 24,
        "earned_added": 0,
        "spent_given_back": 0,
        "spent_added": 0,
        "balance_before": 36,
        "balance_after": 12,
        "available_after": 12,
        "pending_before": 0,
        "pending_after": 0,
        "escrow_before": 0,
        "escrow_after": 0,
        "note": None,
    }
    assert balance().balance == 36


def test_the_admin_api_names_what_is_wrong_with_a_preview(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.orders["order_1"] = order()
    assert ask(api, "order_9", cancel=True).json()["code"] == "unknown_order"
    assert ask(api, "order_1").status_code == 422
    assert ask(api, "order_1", cancel=True, refund="5.00").status_code == 422
    twice = [{"line_item_id": "ordli_1", "quantity": 1}] * 2
    assert "once" in ask(api, "order_1", returns=twice).text
    refused = ask(api, "order_1", returns=[{"line_item_id": "ordli_1", "quantity": 2}])
    assert (refused.status_code, refused.json()["code"]) == (422, "impossible_change")
    assert ask(api, "order_1", returns=[{"line_item_id": "../orders", "quantity": 2}]).status_code == 422


def test_pending_points_are_taken_back_too() -> None:
    set_rules(earn={"rates": {"eur": "1"}, "pending_days": 14})
    document = order(lines=[line(price=30)], placed=now())
    settle(document)
    effect = preview(document, cancel=True)
    assert (effect.earned_taken_back, effect.before.pending, effect.after.pending) == (30, 30, 0)
    assert balance().pending == 30


def test_points_of_a_guest_leave_the_escrow() -> None:
    document = order(lines=[line(price=30)], guest=True)
    settle(document)
    effect = preview(document, cancel=True)
    assert (effect.escrow_before, effect.escrow_after, effect.earned_taken_back) == (30, 0, 0)


def test_points_that_a_former_owner_keeps_are_part_of_the_preview() -> None:
    document = order(lines=[line(price=30)], customer_id="cus_0")
    settle(document)
    details = {"reason": "spent", "description": "", "idempotency_key": "spent", "actor": "test"}
    with transaction() as connection:
        adjust_balance(connection, CustomerId("cus_0"), -20, **details, now=now())
    moved = order(lines=[line(price=30)], version=2)
    settle(moved)
    effect = preview(moved, cancel=True)
    # 10 went to the new owner; the first one owes the 20 that were spent.
    assert (effect.earned_taken_back, effect.before.balance, effect.after.balance) == (30, 10, 0)


def test_points_that_come_back_and_are_taken_at_once_are_both_named(medusa: FakeMedusa) -> None:
    """They were waived, because they were spent, when the order that had earned them was canceled."""
    set_rules(
        earn={"rates": {"eur": "100"}},
        redeem={"rates": {"eur": "100"}},
        reversal={"negative_balance": "within_balance"},
    )
    settle(order(lines=[line(price=10)]))
    code = redeem_points(CustomerId("cus_1"), 1000, key="key").codes[0].code
    spending = order("order_2", lines=[line(price=10, discount=10, code=code)])
    settle(spending)
    settle(order(lines=[line(price=10)], version=2, status="canceled"))
    effect = preview(spending, cancel=True)
    assert (effect.spent_given_back, effect.earned_taken_back) == (1000, 1000)
    assert (effect.before.balance, effect.after.balance) == (0, 0)


def test_the_bonus_of_the_customer_who_was_referred_is_part_of_the_preview(api: TestClient, medusa: FakeMedusa) -> None:
    set_referral_bonus()
    refer(api)
    settle(bought())
    effect = preview(bought(), cancel=True)
    assert (effect.before.balance, effect.earned_taken_back, effect.after.balance) == (60, 60, 0)
    unpaid = bought(by="cus_new", number=2, paid=False)
    settle(bought(version=2, status="canceled"), unpaid)
    assert preview(unpaid | {"payment_status": "captured"}, refund=Decimal(0)).earned_added == 50
