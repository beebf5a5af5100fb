"""Random sequences of events: the ledger ends where a small model says (`tests/support/any_sequence.py`)."""

import pytest

from tests.support.any_sequence import AnySequence
from tests.support.medusa import FakeMedusa
from tests.support.sequences import pieces, play

pytestmark = pytest.mark.system


@pieces
def test_any_sequence_ends_where_the_model_says(piece: int, medusa: FakeMedusa) -> None:
    AnySequence.medusa = medusa
    play(AnySequence, few=25)
