"""What orders earn after claims and exchanges: captured from a real Medusa at each step, and with random figures."""

import copy
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.medusa.exchanges import money_kept
from bridge.medusa.orders import read_order
from tests.support.orders import SAMPLES

# Shirts cost 10.00 and hoodies 40.00, with a quarter of tax on top; 6.25 with tax are for shipping.
CAPTURED: dict[str, dict[str, Any]] = json.loads(
    (SAMPLES / "orders_of_claims_and_exchanges.json").read_text(), parse_float=Decimal
)
amounts = st.decimals("0", "10000", places=2)


def earns_for(document: dict[str, Any]) -> Decimal:
    read = read_order(document)
    return sum((line.net * read.kept_share(line, include_credit=True) for line in read.lines), Decimal(0))


@pytest.mark.parametrize(
    ("step", "net", "has_unpaid_exchange"),
    [
        # A shirt for another one: nothing changes at any time.
        ("exchange_same_before", 10, False),
        ("exchange_same_requested", 10, True),
        ("exchange_same_received", 10, False),
        # A shirt for a hoodie: the difference earns once it is paid.
        ("exchange_dearer_requested", 10, True),
        ("exchange_dearer_received", 10, True),
        ("exchange_dearer_paid", 40, False),
        # A hoodie for a shirt: what is too much goes when the hoodie is back, not when the money is.
        ("exchange_cheaper_requested", 40, True),
        ("exchange_cheaper_received", 10, False),
        # Nothing was captured yet, and Medusa withdraws the authorization: the order keeps what it earned when placed.
        ("exchange_uncaptured_requested", 10, True),
        ("exchange_uncaptured_received", 10, True),
        # One of two shirts is replaced; the other shirt may come back or not, the claim may be forgiven or be free.
        ("replacement_unreturned_requested", 20, True),
        ("replacement_unreturned_forgiven", 20, False),
        ("replacement_returned_requested", 20, True),
        ("replacement_returned_received", 20, False),
        ("replacement_free_requested", 20, False),
        # 12.50 of 31.25 are refunded for a shirt that stays: a refund without a return.
        ("claim_refund_requested", 20, False),
        ("claim_refund_refunded", 12, False),
    ],
)
def test_only_what_was_paid_for_earns(step: str, net: int, has_unpaid_exchange: bool) -> None:
    assert earns_for(CAPTURED[step]) == net
    assert read_order(CAPTURED[step]).has_unpaid_exchange is has_unpaid_exchange


def test_every_captured_step_is_compared() -> None:
    (parametrize,) = test_only_what_was_paid_for_earns.pytestmark  # type: ignore[attr-defined]
    assert {step for step, *_ in parametrize.args[1]} == CAPTURED.keys()


def test_an_order_edit_alone_earns_at_once_as_the_order_did() -> None:
    document = copy.deepcopy(CAPTURED["replacement_unreturned_requested"])
    for item in document["items"]:
        item["detail"]["written_off_quantity"] = 0
    assert earns_for(document) == 30


def test_an_authorization_that_medusa_has_withdrawn_is_no_money() -> None:
    document = copy.deepcopy(CAPTURED["exchange_dearer_received"])
    authorized = {"status": "authorized", "authorized_amount": Decimal("37.5"), "captured_amount": 0}
    document["payment_collections"].append({**authorized, "status": "canceled"})
    assert earns_for(document) == 10
    document["payment_collections"].append(authorized)
    assert earns_for(document) == 40


def test_lines_that_an_edit_adds_after_a_canceled_exchange_are_no_exchange() -> None:
    # As an edit leaves the order: the second shirt is not paid yet, and earns as one of an edit does.
    edited = copy.deepcopy(CAPTURED["exchange_same_requested"])
    edited["returns"][0]["status"] = "canceled"
    assert earns_for(edited) == 20
    assert read_order(edited).has_unpaid_exchange is False


def test_what_is_forgiven_before_a_payment_pays_for_nothing_that_was_swapped_in() -> None:
    document = copy.deepcopy(CAPTURED["exchange_uncaptured_requested"])
    # Two shirts at 12.50 and 6.25 for shipping, of which 12.50 are forgiven.
    document |= {"credit_line_total": Decimal("12.5"), "total": document["total"] - Decimal("12.5")}
    assert earns_for(document) < 10
    assert read_order(document).has_unpaid_exchange


@pytest.mark.parametrize("field", ["summary", "returns", "payment_collections"])
def test_a_snapshot_that_lacks_payment_fields_can_be_read(field: str) -> None:
    document = {name: value for name, value in CAPTURED["exchange_same_received"].items() if name != field}
    assert earns_for(document) == 10


@given(amounts, amounts, amounts, amounts)
def test_shares_are_shares_and_no_more_earns_than_the_order_costs(
    bought: Decimal, swapped: Decimal, not_kept: Decimal, money: Decimal
) -> None:
    total = bought + swapped - not_kept
    shares = money_kept(total=total, not_kept=not_kept, swapped_price=swapped, money=money)
    assert 0 <= shares.bought <= 1
    assert 0 <= shares.swapped <= 1
    assert shares.bought * bought + shares.swapped * swapped <= max(total, Decimal(0)) + Decimal("0.000001")
    # Money counts for ordered items first, and items swapped in earn only for money that was paid.
    assert shares.swapped == 0 or shares.bought == 1 or swapped == 0
    assert shares.swapped * swapped <= max(money - bought, Decimal(0)) + not_kept + Decimal("0.000001")


@given(amounts, amounts)
def test_what_is_paid_in_full_earns_in_full(bought: Decimal, swapped: Decimal) -> None:
    total = bought + swapped
    shares = money_kept(total=total, not_kept=Decimal(0), swapped_price=swapped, money=total)
    assert (shares.bought, shares.swapped) == (1, 1)
