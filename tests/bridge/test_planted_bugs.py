"""The random sequences find what they are for: each of these faults, planted, is found within a few of them.

Without the fault the same sequences pass, so it is the fault that is found.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from bridge.ledger.account import Account
from bridge.medusa import amounts
from bridge.programme import worth
from bridge.settlement import settle
from tests.bridge.test_any_shop import AnyShop
from tests.support.medusa import FakeMedusa
from tests.support.played_shops import Shop
from tests.support.sequences import empty_database

# As a rule the first ten find it.
_SEQUENCES = 300


def new_points_on_transfer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The new owner earns the whole order once more, whatever its former owners keep of it."""
    monkeypatch.setattr(settle, "left_for_owner", lambda shares, worth, worth_before: worth)


def waiving_while_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points on hold do not count as balance, so a reversal under `within_balance` leaves them with the customer."""
    monkeypatch.setattr(Account, "_balance_of_person", Account.available)


def tiers_before_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What limits keep from orders of the same batch counts towards the tier."""
    tier_met = settle._tier_met
    monkeypatch.setattr(settle, "_tier_met", lambda case, earlier, tiers, limits: tier_met(case, earlier, tiers, None))


def reversal_without_expiry_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reversal takes from points that are due to expire, until a sweep has come by."""
    take_back, expired_of, book_due = Account.take_back, Account.expired_of, Account.book_due

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
    monkeypatch.setattr(Account, "take_back", planted(take_back))
    monkeypatch.setattr(Account, "expired_of", planted(expired_of))


def noise_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Amounts stay as Medusa prints them, and points are made whole as they are: 59.99999999999999 are 59 points."""
    # The types of all documents hold the function itself.
    monkeypatch.setattr(amounts.without_noise, "__code__", (lambda value: value).__code__)
    monkeypatch.setattr(worth, "_MILLIONTH", Decimal("1e-20"))


def play(machine: type[RuleBasedStateMachine], sequences: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=sequences,
            stateful_step_count=20,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


# On a busy machine.
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("plant", "kind"),
    [
        (new_points_on_transfer, Shop.OWNERS),
        (tiers_before_limits, Shop.LIMITS),
        (noise_kept, Shop.ODD),
    ],
)
def test_a_planted_bug_is_found(plant: Any, kind: Shop, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch) -> None:
    class OneKind(AnyShop):
        kinds = (kind,)

    OneKind.medusa = medusa
    with monkeypatch.context() as patch:
        plant(patch)
        with pytest.raises(AssertionError):
            play(OneKind, _SEQUENCES)
    # The books of the sequence that found it are wrong.
    empty_database()
