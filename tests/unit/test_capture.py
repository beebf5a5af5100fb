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
    return used_dust(redemption(kind, code), code, read_order(document), first=first or {})


def remembered(document: dict[str, Any], *, dust: int, units: int | None = None) -> FirstUses:
    redeemed = redemption(
        RedemptionKind.PRODUCTS if units else RedemptionKind.FIXED, code_for(dust, units=units, value=Decimal(1))
    )
    return first_uses(read_order(document), [redeemed])


def units_line(
    ordered: int, returned: int, price: int, paid: int, *, before: int = 0, percent: int = 0, line_id: str = "ordli_1"
) -> dict[str, Any]:
    """Units of a product, some of them paid with points, as Medusa 2.21.2 gives the line.

    Coupons of the shop took `before` off each unit before the code, and `percent` of what the code left.
    """
    whole = (price - before) * ordered
    by_points = min(paid * price, whole)
    after = Fraction((whole - by_points) * percent, 100)
    item = line(line_id, price=price, quantity=ordered, returned=returned, discount=by_points, code="DUST-1")
    for code, off in (("VIP", before * ordered), ("SUMMER", float(after))):
        if off:
            item["adjustments"].append({"code": code, "amount": off, "total": off})
    kept = Fraction(ordered - returned, ordered)
    item["discount_total"] = float((before * ordered + by_points + after) * kept)
    item["total"] = float((whole - by_points - after) * kept)
    return item


@given(st.data())
def test_points_given_back_are_at_most_the_share_of_what_came_back(data: st.DataObject) -> None:
    ordered = data.draw(st.integers(1, 60))
    paid = data.draw(st.integers(1, ordered))
    price = data.draw(st.integers(2, 500))
    off, percent = data.draw(st.integers(0, price - 1)), data.draw(st.integers(0, 100))
    each = data.draw(st.integers(1, 10_000))
    steps = sorted(data.draw(st.lists(st.integers(0, ordered), min_size=1, max_size=5)))
    before = 0
    for returned in steps:
        document = order(lines=[units_line(ordered, returned, price, paid, before=off, percent=percent)])
        spent = used(RedemptionKind.PRODUCTS, document, dust=each * paid, units=paid)
        # Of each unit that stands, the same share is paid with points. What is used is rounded up once.
        assert spent == ceil(Fraction(each * paid * (ordered - returned), ordered))
        back = each * paid - spent
        assert before <= back <= Fraction(each * paid * returned, ordered)
        before = back


@pytest.mark.parametrize("percent", [0, 10, 50, 100])
def test_units_of_two_lines_are_those_that_each_line_had_paid(percent: int) -> None:
    """Medusa pays the first line in whole, and 1 of 4 units of the second."""
    lines = [
        units_line(2, 0, 15, 2, percent=percent, line_id="l1"),
        units_line(4, 0, 15, 1, percent=percent, line_id="l2"),
    ]
    first = remembered(order(lines=lines), dust=300, units=3)

    def used_of(*kept: dict[str, Any]) -> int:
        return used(RedemptionKind.PRODUCTS, order(lines=list(kept)), dust=300, units=3, first=first)

    assert used_of(*lines) == 300
    assert used_of(lines[0], units_line(4, 4, 15, 1, percent=percent, line_id="l2")) == 200
    assert used_of(units_line(2, 2, 15, 2, percent=percent, line_id="l1"), lines[1]) == 100


def test_a_price_that_an_edit_raises_leaves_points_for_a_part_of_the_unit() -> None:
    """Medusa leaves the discount as it was: 10.00 off a unit that costs 30.00 now."""
    first = remembered(order(lines=[units_line(1, 0, 10, 1)]), dust=300, units=1)
    edited = order(lines=[line(price=30, quantity=1, discount=10, code="DUST-1")])
    assert used(RedemptionKind.PRODUCTS, edited, dust=300, units=1, first=first) == 100


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
    # Two of three mugs at 15.00, less 9.00 each by the shop's coupon: the code pays the 18.00 that are left.
    document = order(lines=[units_line(3, 0, 15, 2, before=9)])
    assert used(RedemptionKind.PRODUCTS, document, dust=600, units=2) == 600


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
