"""Tiers: reached at once, lost when the orders that made them leave the window."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.programme.rules import Programme
from bridge.programme.tiers import Contribution, CustomerTier, Tiers, tier_at

START = datetime(2026, 1, 1, tzinfo=UTC)
LEVELS = [{"name": "silver", "from": 100, "factor": "1.2"}, {"name": "gold", "from": 300, "factor": "1.5"}]
TIERS = Tiers.model_validate({"window_days": 30, "levels": LEVELS})


def at(day: int, *orders: tuple[int, int], tiers: Tiers = TIERS) -> CustomerTier:
    """The tier on a day, of orders as (day, amount)."""
    contributions = [
        Contribution(placed_at=START + timedelta(days=on), amount=Decimal(amount)) for on, amount in orders
    ]
    return tier_at(tiers, contributions, moment=START + timedelta(days=day))


def test_an_upgrade_is_at_once_and_says_what_is_missing_for_the_next() -> None:
    assert (at(5).level, at(5).factor, at(5).missing) == (None, 1, 100)
    silver = at(5, (5, 100))
    assert silver.level
    assert silver.next
    assert (silver.level.name, silver.factor, silver.next.name, silver.missing) == (
        "silver",
        Decimal("1.2"),
        "gold",
        200,
    )
    gold = at(5, (5, 300))
    assert gold.level
    assert (gold.level.name, gold.next, gold.missing) == ("gold", None, None)


def test_a_tier_is_lost_when_its_order_leaves_the_window() -> None:
    orders = [(0, 60), (10, 60), (20, 60)]
    # Without the first there are still 120; without the second 60.
    assert at(25, *orders).until == START + timedelta(days=40)
    assert at(39, *orders).level is not None
    assert at(40, *orders).level is None


def test_a_level_from_nothing_cannot_be_lost() -> None:
    tiers = Tiers.model_validate({"levels": [{"name": "member", "from": 0}]})
    assert (at(1, tiers=tiers).level, at(1, tiers=tiers).until) == (tiers.levels[0], None)


def test_what_is_placed_later_does_not_count_yet() -> None:
    assert at(5, (6, 500)).level is None


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 200)), max_size=8), st.integers(0, 60))
def test_until_is_the_moment_at_which_the_level_falls(orders: list[tuple[int, int]], day: int) -> None:
    past = [order for order in orders if order[0] <= day]
    now = at(day, *past)
    if now.level is None:
        assert now.until is None
        return
    assert now.until is not None
    lost = (now.until - START).days
    assert at(lost - 1, *past).factor >= now.factor
    assert at(lost, *past).factor < now.factor


@pytest.mark.parametrize(
    ("tiers", "field"),
    [
        ({"basis": "spent"}, "currency_code"),
        ({"basis": "visits"}, "basis"),
        ({"levels": [{"name": "a", "from": 5}, {"name": "b", "from": 5}]}, "levels"),
        ({"levels": [{"name": "a", "from": 5}, {"name": "a", "from": 6}]}, "levels"),
        ({"levels": [{"name": "a", "from": -1}]}, "levels.0.from"),
        ({"levels": [{"name": "a", "from": 1, "factor": 0}]}, "levels.0.factor"),
        ({"window_days": 0}, "window_days"),
    ],
)
def test_an_invalid_value_is_refused_with_its_field(tiers: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Programme.model_validate({"tiers": tiers})
    assert [".".join(map(str, error["loc"])) for error in refused.value.errors()] == [f"tiers.{field}"]


def test_the_document_gives_the_levels_as_they_were_written() -> None:
    document = Programme.model_validate({"tiers": {"levels": LEVELS}}).document()
    assert document["tiers"]["levels"][0] == {"name": "silver", "from": "100", "factor": "1.2", "benefits": []}
    assert Programme.model_validate(document).document() == document


def test_prices_without_their_tax_reach_the_threshold_that_they_add_up_to() -> None:
    # Three times 10.00 with 20 % tax inside are 25.00 without it.
    tiers = Tiers.model_validate({"window_days": 30, "levels": [{"name": "silver", "from": 25}]})
    orders = [Contribution(placed_at=START + timedelta(days=day), amount=Decimal("8.3333333333")) for day in range(3)]
    reached = tier_at(tiers, orders, moment=START + timedelta(days=2))
    assert (reached.level, reached.total) == (tiers.levels[0], 25)
    assert reached.until == START + timedelta(days=30)
    assert tier_at(tiers, orders[1:], moment=START + timedelta(days=2)).level is None
