"""One point is not `1 points`."""

import re

import pytest

from bridge.counted import counted
from bridge.ledger.account import InsufficientDust
from bridge.redemptions.pricing.terms import AboveMaximum, BelowMinimum, CartTooSmall
from tests.support.source_files import ROOT

# A number that is put into a sentence, with the word right behind it.
HAND_MADE = re.compile(r"\{(?!counted|MAX)[^{}]*\} (pending |more )?points\b")


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 points"), (1, "1 point"), (-1, "-1 point"), (2, "2 points"), (1200, "1,200 points")]
)
def test_a_number_has_the_singular_or_plural_word(number: int, words: str) -> None:
    assert counted(number, "point") == words


def test_shoppers_read_one_point_in_the_singular() -> None:
    refusals = (
        InsufficientDust(asked=1, available=0),
        BelowMinimum(min_dust=1),
        AboveMaximum(max_dust=1),
        CartTooSmall(min_dust=2, max_dust=1),
    )
    assert [error.message for error in refusals if "1 points" in error.message or "1 point" not in error.message] == []


def test_no_sentence_of_the_bridge_puts_a_number_before_points_by_hand() -> None:
    folders = ("ledger", "programme", "settlement", "redemptions", "reports", "inbox", "cli", "operations")
    files = [file for name in folders for file in (ROOT / "bridge" / name).rglob("*.py")]
    sentences = [f"{file.name}: {match[0]}" for file in files for match in HAND_MADE.finditer(file.read_text())]
    assert sentences == []
