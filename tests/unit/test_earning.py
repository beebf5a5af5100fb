"""The arithmetic of points and money, for any rate, currency and amount."""

from datetime import UTC, datetime
from decimal import Decimal
from math import ceil

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bridge.ledger.postings import MAX_DUST
from bridge.programme.earning import Earn, EarningLine, LineTerms, Rounding, earning
from bridge.programme.spending import (
    Redeem,
    discount_value,
    dust_for_value,
    max_dust_within,
    min_redeemable,
    useful_dust,
)

# Two, no and three decimal places.
PLACES = {"eur": 2, "jpy": 0, "kwd": 3}
NOW = datetime(2026, 11, 22, tzinfo=UTC)

currencies = st.sampled_from(sorted(PLACES))
rates = st.decimals("0.000001", "1000000", places=6)
dusts = st.integers(1, MAX_DUST)
amounts = st.decimals("0", "1000000", places=3)
shares = st.decimals("0.000001", "1", places=6)


def rules(currency: str, rate: Decimal, **others: object) -> Redeem:
    return Redeem.model_validate({"rates": {currency: str(rate)}, **others})


@given(currencies, rates, dusts)
def test_a_discount_is_payable_and_worth_no_more_than_its_dust(currency: str, rate: Decimal, dust: int) -> None:
    value = discount_value(rules(currency, rate), dust, currency)
    assert value is not None
    assert value * rate <= dust
    # Payable: a whole number of the currency's smallest unit, and the next one would cost too much.
    smallest = Decimal(10) ** -PLACES[currency]
    assert value % smallest == 0
    assert (value + smallest) * rate > dust


@given(currencies, rates, dusts)
def test_using_the_whole_value_captures_exactly_the_dust(currency: str, rate: Decimal, dust: int) -> None:
    value = discount_value(rules(currency, rate), dust, currency)
    assume(value)
    assert value is not None
    # What settlement computes: the dust of the code is spread over its value.
    assert dust_for_value(dust / value, value) == dust


@given(currencies, rates, dusts, st.decimals("0", "1", places=6))
def test_using_a_part_captures_its_share_and_never_more_than_is_held(
    currency: str, rate: Decimal, dust: int, share: Decimal
) -> None:
    value = discount_value(rules(currency, rate), dust, currency)
    assume(value)
    assert value is not None
    used = (value * share).quantize(Decimal("0.001"))
    assume(used <= value)
    captured = dust_for_value(dust / value, used)
    assert 0 <= captured <= dust
    assert captured >= int(dust * used / value)


@given(currencies, rates, amounts, shares, st.none() | dusts)
def test_the_most_dust_never_takes_off_more_than_may_be_paid_with_it(
    currency: str, rate: Decimal, amount: Decimal, share: Decimal, max_dust: int | None
) -> None:
    redeem = rules(currency, rate, max_share=str(share), max_dust=max_dust)
    most = max_dust_within(redeem, amount * share, currency)
    assert most is not None
    assert 0 <= most <= (max_dust or MAX_DUST)
    value = discount_value(redeem, most, currency)
    assert value is not None
    assert value <= amount * share
    # No other number of points takes more off without taking off too much.
    following = ceil((value + Decimal(10) ** -PLACES[currency]) * rate)
    more = discount_value(redeem, following, currency)
    assert more is not None
    assert more > amount * share or following > (max_dust or MAX_DUST)


@given(currencies, rates, dusts)
def test_the_useful_part_of_some_points_is_the_least_that_takes_the_same_off(
    currency: str, rate: Decimal, dust: int
) -> None:
    redeem = rules(currency, rate)
    useful = useful_dust(redeem, dust, currency)
    value = discount_value(redeem, dust, currency)
    assert value is not None
    assert 0 <= useful <= dust
    assert discount_value(redeem, useful, currency) == value
    assert useful == 0 or (useful - 1) / rate < value


@given(currencies, rates, dusts)
def test_the_smallest_redemption_buys_something_with_all_of_its_points(
    currency: str, rate: Decimal, min_dust: int
) -> None:
    redeem = rules(currency, rate, min_dust=min_dust)
    least = min_redeemable(redeem, currency)
    assert least >= min_dust
    assert useful_dust(redeem, least, currency) == least
    # Whatever is smaller buys nothing with its last points, or is below the programme's minimum.
    assert least == min_dust or useful_dust(redeem, least - 1, currency) < min_dust


@pytest.mark.parametrize(
    ("currency", "rate", "min_dust", "dust", "useful", "least"),
    [
        ("jpy", "100", 1, 199, 100, 100),
        ("jpy", "100", 150, 350, 300, 200),
        ("eur", "100", 200, 201, 201, 200),
        ("eur", "33.3", 1, 34, 34, 1),
        ("eur", "33.3", 1, 33, 33, 1),
        ("eur", "1000", 1, 19, 10, 10),
    ],
)
def test_worked_rows_of_points_that_buy_something(
    currency: str, rate: str, min_dust: int, dust: int, useful: int, least: int
) -> None:
    redeem = rules(currency, Decimal(rate), min_dust=min_dust)
    assert (useful_dust(redeem, dust, currency), min_redeemable(redeem, currency)) == (useful, least)


@pytest.mark.parametrize(
    ("currency", "rate", "dust", "value"),
    [
        ("eur", "100", 500, "5.00"),
        ("eur", "100", 1, "0.01"),
        ("eur", "3", 10, "3.33"),
        ("jpy", "1", 77, "77"),
        ("jpy", "100", 99, "0"),
        ("kwd", "1000", 1, "0.001"),
        ("eur", "1000000", 9999, "0.00"),
    ],
)
def test_worked_rows(currency: str, rate: str, dust: int, value: str) -> None:
    assert discount_value(rules(currency, Decimal(rate)), dust, currency) == Decimal(value)


def test_without_a_rate_there_is_no_value() -> None:
    assert discount_value(rules("eur", Decimal(1)), 5, "usd") is None
    assert max_dust_within(rules("eur", Decimal(1)), Decimal(5), "usd") is None


def earned(cents: list[int], rounding: Rounding, rate: str = "1") -> int:
    lines = [
        EarningLine(
            id=str(number), terms=LineTerms(), net=Decimal(amount) / 100, gross=Decimal(amount) / 100, units=Decimal(1)
        )
        for number, amount in enumerate(cents)
    ]
    rules = Earn.model_validate({"rates": {"eur": rate}, "rounding": rounding})
    return earning(
        rules,
        currency_code="eur",
        lines=lines,
        shipping_net=Decimal(0),
        shipping_gross=Decimal(0),
    ).dust


@given(st.lists(st.integers(0, 10_000_000), max_size=8))
def test_earning_rounds_once_and_by_integers(cents: list[int]) -> None:
    whole = sum(cents)
    assert earned(cents, Rounding.FLOOR) == whole // 100
    assert earned(cents, Rounding.CEILING) == -(-whole // 100)
    assert earned(cents, Rounding.HALF_UP) == (whole + 50) // 100


@given(st.lists(st.integers(0, 1_000_000), min_size=1, max_size=8), st.data())
def test_an_order_that_shrinks_never_earns_more(cents: list[int], data: st.DataObject) -> None:
    smaller = [data.draw(st.integers(0, amount)) for amount in cents]
    for rounding in Rounding:
        assert earned(smaller, rounding) <= earned(cents, rounding)


def test_an_earning_is_never_more_than_the_ledger_takes() -> None:
    assert earned([10**17], Rounding.FLOOR, rate="1000000") == MAX_DUST


@pytest.mark.parametrize(("lines", "rate", "dust"), [(3, "1", 25), (30, "1200", 300_000), (3, "120000", 3_000_000)])
def test_a_price_without_its_tax_earns_the_same_at_any_rate(lines: int, rate: str, dust: int) -> None:
    # 10.00 with 20 % tax inside, as it is read from Medusa. Three of them are 25.00 without it.
    net = [
        EarningLine(id=str(number), terms=LineTerms(), net=Decimal("8.3333333333"), gross=Decimal(10), units=Decimal(1))
        for number in range(lines)
    ]
    rules = Earn.model_validate({"rates": {"eur": rate}})
    result = earning(rules, currency_code="eur", lines=net, shipping_net=Decimal(0), shipping_gross=Decimal(0))
    assert result.dust == dust
