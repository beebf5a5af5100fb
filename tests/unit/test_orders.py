"""Reading a Medusa order: the captured ones, wrong ones, and the arithmetic of taxes, returns and codes."""

import copy
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bridge.medusa.order_shapes import ORDER_FIELDS
from bridge.medusa.orders import OrderDetail, UnreadableOrder, read_order
from bridge.settlement.facts import FactMarks, Verdict, compare
from tests.support.orders import SAMPLES, line, order


def exact(name: str) -> dict[str, Any]:
    """A captured document, its numbers as the bridge reads them."""
    document: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text(), parse_float=Decimal)
    return document


def test_the_captured_order_is_read_as_it_was_paid() -> None:
    read = read_order(exact("order_with_promotion_full_fields"))
    assert (read.currency_code, read.version, read.canceled, read.is_guest) == ("eur", 1, False, False)
    assert sum(line.net for line in read.lines) == Decimal(27)
    assert sum(line.gross for line in read.lines) == Decimal("33.75")
    assert read.shipping_gross == Decimal("12.5")
    assert {use.code for line in read.lines for use in line.code_uses} == read.promotion_codes == read.codes


def test_the_captured_return_leaves_the_lines_that_were_kept() -> None:
    before = read_order(exact("order_with_promotion_full_fields"))
    after = read_order(exact("order_after_return_and_refund"))
    assert compare(FactMarks.of(after), FactMarks.of(before)) is Verdict.NEWEST
    assert sum(line.net for line in after.lines) == Decimal(18)
    for code in before.codes:
        whole = sum(use.amount for _, use in before.uses_of(code))
        left = sum(use.amount for _, use in after.uses_of(code))
        assert 0 < left < whole


def test_the_captured_cancel_is_seen() -> None:
    document = exact("order_canceled")
    document = document.get("order", document)
    # It was captured without these three.
    assert read_order({"currency_code": "eur", "items": [], "created_at": document["updated_at"], **document}).canceled


def test_orders_that_were_fetched_with_too_few_fields_are_refused_naming_the_rest() -> None:
    page = exact("orders_reconciliation_page")["response"]["orders"]
    assert page
    for document in page:
        with pytest.raises(
            UnreadableOrder, match=r"read: created_at, currency_code, items\.0\.subtotal, .*, total missing"
        ):
            read_order(document)


@pytest.mark.parametrize(
    "name", ["id", "currency_code", "status", "version", "created_at", "updated_at", "total", "items"]
)
def test_a_field_that_is_missing_is_named(name: str) -> None:
    document = order()
    del document[name]
    with pytest.raises(UnreadableOrder, match=rf"read: {name} missing"):
        read_order(document)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"version": "first"}, "version"),
        ({"version": None}, "version"),
        ({"created_at": "yesterday"}, "created_at"),
        ({"updated_at": "2026-11-22T06:00:00"}, "updated_at"),
        ({"total": "NaN"}, "total"),
        ({"total": {}}, "total"),
        ({"items": {}}, "items"),
        ({"items": [7]}, "items.0"),
        ({"items": [{}]}, "items.0.id, items.0.subtotal, items.0.tax_total, items.0.total"),
        ({"promotions": [7]}, "promotions.0"),
        ({"customer": "cus_1"}, "customer"),
        ({"id": 7, "status": 7}, "id, status"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(UnreadableOrder) as refused:
        read_order({**order(), **change})
    assert f"read: {named} missing" in refused.value.message


@pytest.mark.parametrize("document", [{}, {"id": "order_1"}])
def test_a_document_that_is_no_order_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(UnreadableOrder):
        read_order(document)


def test_what_medusa_leaves_null_is_read() -> None:
    document = order()
    document.update(promotions=[None], customer=None, canceled_at=None, payment_status=None)
    document["items"][0].update(adjustments=None, product=None, product_id=None, discount_total=None)
    read = read_order(document)
    assert (read.codes, read.paid, read.is_guest) == (frozenset(), False, False)
    assert read.knows == frozenset()


def test_fields_that_settlement_reads_are_fetched() -> None:
    fetched = set(ORDER_FIELDS.split(","))
    for name in ("id", "version", "created_at", "updated_at", "canceled_at", "status", "currency_code", "customer_id",
                 "payment_status", "total", "shipping_total", "shipping_tax_total", "customer.has_account",
                 "items.total", "items.subtotal", "items.tax_total", "items.discount_total", "items.unit_price",
                 "items.quantity", "items.is_tax_inclusive", "items.product_id", "items.product.categories.id",
                 "items.product.collection_id", "customer.groups.id",
                 "items.adjustments.*", "promotions.code", "is_draft_order", "items.created_at", "items.detail.*",
                 "items.return_received_total", "returns.exchange_id", "returns.claim_id", "summary.*",
                 "payment_collections.status", "payment_collections.authorized_amount",
                 "payment_collections.captured_amount"):  # fmt: skip
        assert name in fetched, name


def test_the_plugin_asks_for_the_same_fields() -> None:
    source = (Path(__file__).parents[2] / "medusa-plugin/src/lib/order-fields.ts").read_text()
    assert re.findall(r'"([\w.*]+)"', source.partition("= [")[2]) == ORDER_FIELDS.split(",")


def only_line(document: dict[str, Any]) -> Any:
    return read_order(document).lines[0]


def test_a_tax_inclusive_line_is_worth_less_net() -> None:
    item = line(price=10, quantity=2)
    # 10.00 with 25 % tax inside: 8.00 net a piece; a code pays for one of the two.
    adjustment = {"code": "DUST-A", "amount": 8, "subtotal": 8, "total": 10}
    item.update(is_tax_inclusive=True, subtotal=16, tax_total=2, total=10, discount_total=10, adjustments=[adjustment])
    read = only_line(order(lines=[item]))
    assert (read.net, read.gross) == (Decimal(8), Decimal(10))
    assert [use.amount for use in read.code_uses] == [Decimal(10)]


def test_a_tax_exclusive_line_is_worth_more_gross() -> None:
    item = line(price=8, quantity=2)
    adjustment = {"code": "DUST-A", "amount": 8, "subtotal": 8, "total": 10}
    item.update(subtotal=16, tax_total=2, total=10, discount_total=10, adjustments=[adjustment])
    read = only_line(order(lines=[item]))
    assert (read.net, read.gross) == (Decimal(8), Decimal(10))
    assert [use.amount for use in read.code_uses] == [Decimal(10)]


def test_a_partial_return_takes_its_share_of_every_code() -> None:
    item = line(price=10, quantity=4, returned=1, discount=12, code="DUST-A")
    second = copy.deepcopy(item["adjustments"][0])
    item["adjustments"][0].update(amount=8, subtotal=8, total=8)
    item["adjustments"].append({**second, "code": "SUMMER", "amount": 4, "subtotal": 4, "total": 4})
    uses = {use.code: use for use in only_line(order(lines=[item])).code_uses}
    assert uses["DUST-A"].amount == Decimal(6)
    assert uses["SUMMER"].amount == Decimal(3)


def test_a_return_of_everything_uses_nothing() -> None:
    read = only_line(order(lines=[line(price=10, quantity=2, returned=2, discount=5, code="DUST-A")]))
    assert [use.amount for use in read.code_uses] == [Decimal(0)]


def test_two_adjustments_of_one_code_are_one_use() -> None:
    item = line(price=10, discount=4, code="DUST-A")
    half = {**item["adjustments"][0], "amount": 2, "subtotal": 2, "total": 2}
    item["adjustments"] = [half, copy.deepcopy(half)]
    assert [(use.code, use.amount) for use in only_line(order(lines=[item])).code_uses] == [("DUST-A", Decimal(4))]


@pytest.mark.parametrize(
    ("change", "paid"),
    [
        ({"payment_status": "captured"}, True),
        ({"payment_status": "partially_refunded"}, True),
        ({"payment_status": "refunded"}, True),
        ({"payment_status": "authorized"}, False),
        ({"payment_status": "not_paid", "total": 0}, True),
    ],
)
def test_the_status_says_whether_it_is_paid_where_the_amounts_do_not(change: dict[str, Any], paid: bool) -> None:
    assert read_order({**order(), **change}).paid is paid


def money(
    status: str, *, total: float, captured: float = 0, refunded: float = 0, credit: float = 0, collected: bool = True
) -> dict[str, Any]:
    """An order by what Medusa says of its money. `collected`: with its payment collections."""
    document = order(lines=[line(price=total + credit)], credit=credit, payment_status=status)
    document["summary"] = {
        "paid_total": captured, "refunded_total": refunded, "transaction_total": captured - refunded,
    }  # fmt: skip
    amounts = {"captured_amount": captured, "refunded_amount": refunded, "authorized_amount": captured}
    document["payment_collections"] = (
        [{"status": "authorized", "amount": total + credit, **amounts}] if collected else None
    )
    return document


@pytest.mark.parametrize("collected", [True, False])
@pytest.mark.parametrize(
    ("status", "figures", "paid"),
    [
        # 30 of 100, and some of it back, with the credit line that such a refund makes and without.
        ("partially_captured", {"total": 100, "captured": 30}, False),
        ("partially_refunded", {"total": 100, "captured": 30, "refunded": 5}, False),
        ("partially_refunded", {"total": 95, "captured": 30, "refunded": 5, "credit": 5}, False),
        # Medusa says refunded when as many payments are refunded in part as are captured in part.
        ("refunded", {"total": 70, "captured": 30, "refunded": 30, "credit": 30}, False),
        # … and the merchant forgives 40 of the rest.
        ("refunded", {"total": 30, "captured": 30, "refunded": 30, "credit": 70}, False),
        # What was captured in full stays paid, whatever goes back.
        ("captured", {"total": 100, "captured": 100}, True),
        ("captured", {"total": 100, "captured": 99.999999}, True),
        ("partially_refunded", {"total": 90, "captured": 100, "refunded": 10, "credit": 10}, True),
        ("partially_refunded", {"total": 100, "captured": 100, "refunded": 10}, True),
        ("partially_refunded", {"total": 80, "captured": 100, "refunded": 20}, True),
        ("refunded", {"total": 0, "captured": 100, "refunded": 100, "credit": 100}, True),
        # A gift card paid 50 of 100.
        ("captured", {"total": 50, "captured": 50, "credit": 50}, True),
        ("partially_refunded", {"total": 40, "captured": 50, "refunded": 10, "credit": 60}, True),
        ("partially_captured", {"total": 50, "captured": 30, "credit": 50}, False),
        # An order edit raised it from 100 to 500.
        ("partially_captured", {"total": 500, "captured": 100}, False),
        ("captured", {"total": 500, "captured": 100}, False),
        ("authorized", {"total": 100}, False),
        ("requires_action", {"total": 100}, False),
        ("requires_action", {"total": 100, "captured": 100}, True),
        ("not_paid", {"total": 100}, False),
    ],
)
def test_paid_means_that_all_of_it_was_captured_at_some_time(
    status: str, figures: dict[str, float], paid: bool, collected: bool
) -> None:
    assert read_order(money(status, **figures, collected=collected)).paid is paid


def test_a_free_order_counts_as_paid_only_while_it_is_free() -> None:
    of_nothing = {"status": "completed", "amount": 0, "captured_amount": 0}
    free = {**order(payment_status="captured"), "summary": None, "total": 0, "payment_collections": [of_nothing]}
    assert read_order(free).paid
    assert not read_order({**free, "total": 500}).paid


@pytest.mark.parametrize(("captured", "share"), [(0, 0), (25, Decimal("0.25")), (100, 1)])
def test_the_paid_share_of_an_order(captured: int, share: Decimal) -> None:
    assert read_order(money("partially_captured", total=100, captured=captured)).paid_share == share


def test_a_gift_card_pays_as_money_does() -> None:
    # An order of 100, of which a gift card paid 50, was raised to 200.
    card = {"credit_line_total": 50, "credit_lines": [{"amount": 50, "reference": "gift-card", "metadata": None}]}
    raised = read_order(money("partially_captured", total=150, captured=50) | card)
    assert (raised.paid, raised.free, raised.paid_share) == (False, False, Decimal("0.5"))
    assert raised.paid_share_without_credit == Decimal(50) / 150
    whole = {"credit_line_total": 50, "credit_lines": [{"amount": 50, "reference": "gift-card", "metadata": None}]}
    assert not read_order(money("not_paid", total=0) | whole).free


def test_facts_say_which_details_they_have() -> None:
    reported = read_order(order(lines=[line(categories=("pcat_1",), collection="pcol_1")], groups=("cusgroup_1",)))
    assert reported.knows == frozenset(OrderDetail)
    assert (reported.lines[0].collection_id, reported.customer_group_ids) == ("pcol_1", {"cusgroup_1"})
    # As senders before this version put it: no key where there is nothing to know.
    older = order()
    del older["items"][0]["product"]["collection_id"], older["customer"]["groups"]
    assert read_order(older).knows == {OrderDetail.CATEGORIES}


def test_units_are_those_that_were_not_returned() -> None:
    assert only_line(order(lines=[line(price=0, quantity=5, returned=2)])).units == 3


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": "order_\x00"}, "id"),
        ({"customer_id": "cus_\x00"}, "customer_id"),
        ({"version": 2**31}, "version"),
        ({"total": Decimal("1e30")}, "total"),
        ({"shipping_total": Decimal("1e400")}, "shipping_total"),
        ({"items": [{**order()["items"][0], "id": "\x00"}]}, "items.0.id"),
        ({"items": [{**order()["items"][0], "subtotal": Decimal("-1e16")}]}, "items.0.subtotal"),
    ],
)
def test_values_that_cannot_be_stored_are_refused_with_their_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(UnreadableOrder, match=re.escape(f" {field} ")):
        read_order({**order(), **change})


@pytest.mark.parametrize("second", [(40, 50), (20, 25)], ids=["Medusa 2.13.6", "Medusa 2.21.2"])
@pytest.mark.parametrize(("is_tax_inclusive", "amount"), [(True, 25), (False, 20)])
def test_adjustments_of_an_older_medusa_are_sums(is_tax_inclusive: bool, amount: int, second: tuple[int, int]) -> None:
    """Three units at 20.00 and 25 % tax; each of two codes takes 25.00 with tax off."""
    item = line(price=75)
    item["adjustments"] = [
        {"code": code, "amount": amount, "is_tax_inclusive": is_tax_inclusive, "subtotal": subtotal, "total": total}
        for code, subtotal, total in (("DUST-1", 20, 25), ("SUMMER", *second))
    ]
    item |= {"quantity": 3, "unit_price": 20, "subtotal": 60, "total": 25, "tax_total": 5, "discount_total": 50}
    [read] = read_order(order(lines=[item])).lines
    assert [(use.code, use.amount, use.given) for use in read.code_uses] == [("DUST-1", 25, 25), ("SUMMER", 25, 25)]
