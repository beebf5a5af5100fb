"""Limits on what a customer's orders earn together."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.programme.limits import EarningRequest, Limits, apply_limits

MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)


def requests(limits: dict[str, Any], *orders: tuple[float, int]) -> list[EarningRequest]:
    """Orders as (hours after midnight, worth)."""
    rules = Limits.model_validate(limits)
    return [
        EarningRequest(
            order_id=f"order_{number}", placed_at=MIDNIGHT + timedelta(hours=hour), worth=worth, limits=rules
        )
        for number, (hour, worth) in enumerate(orders)
    ]


def shares(limits: dict[str, Any], *orders: tuple[float, int]) -> list[int]:
    limited = apply_limits(requests(limits, *orders))
    return [limited[f"order_{number}"].dust for number in range(len(orders))]


@pytest.mark.parametrize(
    ("limits", "orders", "expected"),
    [
        ({}, [(1, 400), (2, 300)], [400, 300]),
        ({"per_day": 500}, [(1, 400), (2, 300), (3, 50)], [400, 100, 0]),
        ({"per_day": 500}, [(1, 0), (2, 300), (3, 50)], [0, 300, 50]),
        # They count in the sequence of placement, not of the list.
        ({"per_day": 500}, [(2, 300), (1, 400)], [100, 400]),
        # A new day; midnight belongs to the day that begins.
        ({"per_day": 500}, [(0, 400), (23.9, 400), (24, 400)], [400, 100, 400]),
        ({"per_day": 500}, [(-0.1, 400), (0, 400)], [400, 400]),
        # An order that leaves the window frees the points that it got.
        ({"per_customer": {"dust": 500, "days": 1}}, [(0, 400), (12, 400), (24, 400), (36, 400)], [400, 100, 400, 100]),
        ({"per_day": 100, "per_customer": {"dust": 150, "days": 2}}, [(0, 300), (24, 300)], [100, 50]),
    ],
)  # fmt: skip
def test_worked_rows(limits: dict[str, Any], orders: list[tuple[float, int]], expected: list[int]) -> None:
    assert shares(limits, *orders) == expected


def test_it_says_what_was_limited_by_what() -> None:
    limited = apply_limits(requests({"per_day": 500}, (1, 400), (2, 300)))
    assert [limited[f"order_{n}"].why for n in (0, 1)] == [None, "Worth 300 points, limited to 500 a day."]


orders = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 1000)), max_size=12)
limits = st.fixed_dictionaries(
    {
        "per_day": st.none() | st.integers(1, 1500),
        "per_customer": st.none() | st.fixed_dictionaries({"dust": st.integers(1, 2000), "days": st.integers(1, 5)}),
    }
)


@given(limits, orders, st.randoms())
def test_orders_earn_exactly_as_much_as_the_limits_allow(
    rules: dict[str, Any], orders: list[tuple[int, int]], chance: Any
) -> None:
    placed = requests(rules, *orders)
    limited = apply_limits(placed)
    shuffled = placed.copy()
    chance.shuffle(shuffled)
    assert apply_limits(shuffled) == limited
    row = sorted(placed, key=lambda order: (order.placed_at, order.order_id))
    for position, request in enumerate(row):
        before = row[:position]
        room = [request.worth]
        if rules["per_day"]:
            same_day = sum(limited[e.order_id].dust for e in before if e.placed_at.date() == request.placed_at.date())
            room.append(rules["per_day"] - same_day)
        if rules["per_customer"]:
            start = request.placed_at - timedelta(days=rules["per_customer"]["days"])
            in_window = sum(limited[e.order_id].dust for e in before if e.placed_at > start)
            room.append(rules["per_customer"]["dust"] - in_window)
        assert limited[request.order_id].dust == max(0, min(room))
        assert (limited[request.order_id].why is None) == (limited[request.order_id].dust == request.worth)
