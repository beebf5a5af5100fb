"""What an order uses of a code's points: any units, prices, returns and edits, in steps or at once."""

from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.medusa.orders import read_order
from bridge.redemptions.capture import FirstUses, first_uses, used_dust
from bridge.redemptions.tables import RedemptionKind
from tests.support.orders import line, order
from tests.support.redemptions import code_for, redemption


def used(
    kind: RedemptionKind,
    document: dict[str, Any],
    *,
    dust: int,
    units: int | None = None,
    value: Decimal | None = None,
    first: FirstUses | None = None,
) -> int:
    code = code_for(dust, units=units, value=value)
    codes = {"DUST-1"} if units else set()
    return used_dust(redemption(kind, code), code, read_order(document), product_codes=codes, first=first or {})


def remembered(document: dict[str, Any], *, dust: int, units: int | None = None) -> FirstUses:
    codes = {"DUST-1"} if units else set()
    made = redemption(RedemptionKind.PRODUCTS if units else RedemptionKind.FIXED, code_for(dust, units=units))
    return first_uses(read_order(document), [made], codes)


def units_line(ordered: int, returned: int, price: int, paid: int, coupon: int = 0) -> dict[str, Any]:
    """Units of a product, some of them paid with points, after a coupon of the shop of so much a unit."""
    left = price - coupon
    item = line(price=price, quantity=ordered, returned=returned, discount=paid * left, code="DUST-1")
    if coupon:
        off = coupon * ordered
        item["adjustments"].append({"code": "SUMMER", "amount": off, "total": off})
        kept = Fraction(ordered - returned, ordered)
        item["discount_total"] = float((paid * left + off) * kept)
        item["total"] = float((price * ordered - paid * left - off) * kept)
    return item


@given(st.data())
def test_points_given_back_are_at_most_the_share_of_what_came_back(data: st.DataObject) -> None:
    ordered = data.draw(st.integers(1, 60))
    paid = data.draw(st.integers(1, ordered))
    price = data.draw(st.integers(2, 500))
    coupon = data.draw(st.integers(0, price - 1))
    each = data.draw(st.integers(1, 10_000))
    steps = sorted(data.draw(st.lists(st.integers(0, ordered), min_size=1, max_size=5)))
    before = 0
    for returned in steps:
        document = order(lines=[units_line(ordered, returned, price, paid, coupon)])
        spent = used(RedemptionKind.PRODUCTS, document, dust=each * paid, units=paid)
        # Of each unit that stands, the same share is paid with points. What is used is rounded up once.
        assert spent == ceil(Fraction(each * paid * (ordered - returned), ordered))
        back = each * paid - spent
        assert before <= back <= Fraction(each * paid * returned, ordered)
        before = back


@given(
    st.sampled_from([RedemptionKind.FIXED, RedemptionKind.PERCENTAGE, RedemptionKind.FREE_PRODUCT]),
    st.integers(2, 40),
    st.integers(1, 300),
    st.integers(1, 100_000),
    st.data(),
)
def test_an_edit_and_a_return_to_the_same_goods_use_the_same(
    kind: RedemptionKind, ordered: int, price: int, dust: int, data: st.DataObject
) -> None:
    off = data.draw(st.integers(1, price * ordered))
    left = data.draw(st.integers(0, ordered))
    value = Decimal(off) if kind is RedemptionKind.FIXED else None
    placed = order(lines=[line(price=price, quantity=ordered, discount=off, code="DUST-1")])
    returned = order(lines=[line(price=price, quantity=ordered, returned=ordered - left, discount=off, code="DUST-1")])
    # After an edit Medusa leaves the discount as it was; of the line it may leave less than that.
    edited = order(lines=[line(price=price, quantity=left, discount=off, code="DUST-1")] if left else [])
    first = remembered(placed, dust=dust)
    how: dict[str, Any] = {"dust": dust, "value": value, "first": first}
    assert used(kind, placed, **how) == dust
    assert used(kind, edited, **how) == used(kind, returned, **how) == ceil(Fraction(dust * left, ordered))


@given(st.integers(2, 40), st.integers(1, 300), st.integers(1, 1000), st.data())
def test_units_that_an_edit_takes_out_are_given_back_as_by_a_return(
    ordered: int, price: int, each: int, data: st.DataObject
) -> None:
    paid = data.draw(st.integers(1, ordered))
    left = data.draw(st.integers(1, ordered))
    first = remembered(order(lines=[units_line(ordered, 0, price, paid)]), dust=each * paid, units=paid)
    edited = order(lines=[line(price=price, quantity=left, discount=paid * price, code="DUST-1")])
    spent = used(RedemptionKind.PRODUCTS, edited, dust=each * paid, units=paid, first=first)
    assert spent == ceil(Fraction(each * paid * left, ordered))


def test_an_edit_that_was_never_seen_before_pays_no_more_than_the_line_costs() -> None:
    # 4 of 4 units were paid; of an order first seen after an edit to 2, points pay those 2.
    edited = order(lines=[line(price=10, quantity=2, discount=40, code="DUST-1")])
    assert used(RedemptionKind.PRODUCTS, edited, dust=400, units=4) == 200


def test_a_unit_beside_a_coupon_that_is_not_fully_paid_is_a_whole_unit() -> None:
    # Three mugs at 15.00, less 9.00 each by the shop's coupon; the code pays what is left of one: 6.00 of 18.00.
    document = order(lines=[units_line(3, 0, 15, 1, coupon=9)])
    assert used(RedemptionKind.PRODUCTS, document, dust=300, units=1) == 300


@pytest.mark.parametrize(("left", "dust"), [(1.4, 700), (0.4, 200), (1.6, 800), (1, 500)])
@pytest.mark.parametrize("seen_before", [True, False])
def test_a_weight_that_an_edit_leaves_uses_its_share(left: float, dust: int, seen_before: bool) -> None:
    """Points paid for 2 units, and Medusa leaves the discount as it was."""
    before = remembered(order(lines=[units_line(2, 0, 10, 2)]), dust=1000, units=2) if seen_before else None
    edited = order(lines=[line(price=10, quantity=left, discount=20, code="DUST-1")])
    assert used(RedemptionKind.PRODUCTS, edited, dust=1000, units=2, first=before) == dust


def test_lines_whose_discounts_are_rounded_up_cost_no_point_more() -> None:
    """40.00 off six lines are 6.666666666666667 each, and 20.00 off the three that stand."""
    lines = [
        line(f"l{number}", price=10, returned=int(number > 3), discount=40 / 6, code="DUST-1") for number in range(1, 7)
    ]
    assert used(RedemptionKind.FIXED, order(lines=lines), dust=400_000, value=Decimal(40)) == 200_000
