"""Amounts are read without floating-point noise, and nothing else is rounded away."""

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.medusa.amounts import sum_of, without_noise
from bridge.medusa.currencies import amount_to_pay
from bridge.programme.earning import Earn, EarningLine, LineTerms, earning
from bridge.programme.spending import percentage_of


@pytest.mark.parametrize(
    ("printed", "meant"),
    [
        ("59.99999999999999", "60"),
        ("19.999999999999996", "20"),
        ("0.30000000000000004", "0.3"),
        ("1e-20", "0"),
        ("-1e-20", "0"),
        ("-0.0", "0"),
        ("1234567.0000000002", "1234567"),
        ("12345.670000000002", "12345.67"),
        ("0.001", "0.001"),
        ("8.333333333333334", "8.3333333333"),
        ("-2.4999999999999996", "-2.5"),
        ("999999999999.125", "999999999999.125"),
    ],
)
def test_noise_is_removed_and_a_true_fraction_stays(printed: str, meant: str) -> None:
    assert str(without_noise(Decimal(printed))) == meant


@given(st.integers(-(10**13), 10**13), st.sampled_from([0, 2, 3]), st.integers(-3, 3))
def test_every_amount_is_exact_after_a_few_steps_of_binary_noise(units: int, digits: int, steps: int) -> None:
    import math

    amount = Decimal(units).scaleb(-digits)
    printed = float(amount)
    for _ in range(abs(steps)):
        printed = math.nextafter(printed, math.inf if steps > 0 else -math.inf)
    if abs(amount) < 10**10:
        assert without_noise(Decimal(repr(printed))) == amount


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=50), st.sampled_from([7, 20, 23, 25]))
def test_prices_with_tax_inside_add_up_to_what_the_whole_is_without_tax(cents: list[int], tax: int) -> None:
    # Medusa divides each line by 1.2; the parts are known to ten places, and the whole must not lose a cent by that.
    assert earned([amount / (100 + tax) for amount in cents]) == math.floor(
        sum(Fraction(amount, 100 + tax) for amount in cents)
    )


def earned(nets: list[float], rate: str = "1") -> int:
    """What lines of these sums without tax earn, as they are printed by Medusa."""
    lines = [
        EarningLine(id=str(number), terms=LineTerms(), net=net, gross=net, units=Decimal(1))
        for number, net in enumerate(without_noise(Decimal(repr(net))) for net in nets)
    ]
    rules, nothing = Earn.model_validate({"rates": {"eur": rate}}), Decimal(0)
    return earning(rules, currency_code="eur", lines=lines, shipping_net=nothing, shipping_gross=nothing).dust


def test_a_rate_for_prices_with_tax_is_met() -> None:
    # 1.2 points for each euro without tax are one for each euro with 20 %.
    assert earned([10 / 1.2], "1.2") == 10


def test_thirds_of_a_sum_are_the_sum() -> None:
    third = without_noise(Decimal("3.3333333333333335"))
    assert sum_of([third, third, third]) == 10


def test_a_fifth_of_sixty_is_twelve() -> None:
    assert percentage_of(Decimal(20), without_noise(Decimal("59.99999999999999")), "eur") == 12


@pytest.mark.parametrize(
    ("total", "currency", "due"),
    [
        ("0.004", "eur", "0"),
        ("0.005", "eur", "0.01"),
        ("0.4", "jpy", "0"),
        ("0.4", "huf", "0"),
        ("0.0004", "kwd", "0"),
        ("0.001", "bhd", "0.001"),
    ],
)
def test_a_total_is_paid_in_the_currencys_smallest_unit(total: str, currency: str, due: str) -> None:
    assert amount_to_pay(Decimal(total), currency) == Decimal(due)
