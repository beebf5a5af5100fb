"""The random sequences find the faults that they are for: each of these, planted, is found within a few sequences.

Without the fault the same sequences pass, so it is the fault that is found.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from bridge.ledger.account import Account
from bridge.medusa import amounts
from bridge.programme import earning
from bridge.settlement import compute
from bridge.settlement.shares import Shares
from tests.support.any_shop import AnyShop
from tests.support.medusa import FakeMedusa
from tests.support.shop_machine import Shop
from tests.support.shop_model import Rules

pytestmark = pytest.mark.system

# As a rule the first ten find it. With more of them Hypothesis would begin with more that are short.
_MAX_SEQUENCES = 40


def new_points_on_transfer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The new owner earns the whole order again, also the part that former owners keep."""
    monkeypatch.setattr(Shares, "left_for_owner", lambda self, worth: worth)


def waiving_while_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points on hold do not count as balance, so a reversal under `within_balance` leaves them with the customer."""
    monkeypatch.setattr(Account, "_balance_of_person", Account.available)


def tiers_before_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What limits keep from orders of the same batch counts towards the tier."""
    tier = compute._tier
    monkeypatch.setattr(compute, "_tier", lambda loaded, earlier, tiers, limits: tier(loaded, earlier, tiers, None))


def reversal_without_expiry_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reversal takes points that are due to expire, as long as no sweep has run."""
    reverse, count_expired, book_due = Account.reverse, Account.count_expired, Account.book_due

    @contextmanager
    def nothing_is_due() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(Account, "book_due", lambda self, *, now: None)
            yield

    def planted(method: Any) -> Any:
        def without_expiry(self: Account, *args: Any, **named: Any) -> int:
            with nothing_is_due():
                return int(method(self, *args, **named))

        return without_expiry

    assert book_due is Account.book_due
    monkeypatch.setattr(Account, "reverse", planted(reverse))
    monkeypatch.setattr(Account, "count_expired", planted(count_expired))


def noise_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Amounts stay as Medusa prints them, and points are made whole as they are: 59.99999999999999 are 59 points."""
    # The types of all documents hold the function itself.
    monkeypatch.setattr(amounts.without_noise, "__code__", (lambda value: value).__code__)
    monkeypatch.setattr(earning, "points_precision", lambda _: Decimal("1e-20"))


class Enough(KeyboardInterrupt):
    """Stops the test: Hypothesis raises this kind of exception at once."""


class OneShop(AnyShop):
    """Shops of one kind; `fixed_rules` are the same in all of them."""

    limits = st.just(False)
    fixed_rules: Mapping[str, Any]
    opened = 0
    last: int | None = None

    def __init__(self) -> None:
        if self.opened == self.last:
            raise Enough
        type(self).opened += 1
        super().__init__()

    def draw_programme(self, data: st.DataObject) -> Rules:
        return replace(super().draw_programme(data), **self.fixed_rules)


def play() -> None:
    """Play the same sequences each time."""
    run_state_machine_as_test(
        OneShop,
        settings=settings(
            max_examples=_MAX_SEQUENCES,
            stateful_step_count=20,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("plant", "kind", "rules", "message"),
    [
        (new_points_on_transfer, Shop.OWNERS, {}, "points came from nothing"),
        (
            waiving_while_held,
            Shop.LOOSE,
            {"within_balance": True, "pending_days": 0},
            "keeps points that were not spent",
        ),
        (
            tiers_before_limits,
            Shop.LIMITS,
            {"per_day": 40, "levels": ((50, Fraction(2)),), "tier_by_money": False},
            "met another tier",
        ),
        (
            reversal_without_expiry_first,
            Shop.LOOSE,
            {"expires_after_days": 5, "pending_days": 0},
            # Whichever of the two the random sequence meets first.
            "when sweeps run makes a difference|keeps points that were not spent",
        ),
        (noise_kept, Shop.ODD, {}, "points came from nothing, or are lost"),
    ],
)
def test_a_planted_bug_is_found(
    plant: Any, kind: Shop, rules: Mapping[str, Any], message: str, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch
) -> None:
    OneShop.medusa, OneShop.kinds, OneShop.fixed_rules = medusa, (kind,), rules
    OneShop.opened, OneShop.last = 0, None
    with monkeypatch.context() as patch:
        plant(patch)
        with pytest.raises(AssertionError, match=message):
            play()
    # The same sequences pass without the bug, so it is the bug that was found.
    OneShop.opened, OneShop.last = 0, OneShop.opened
    with pytest.raises(Enough):
        play()
