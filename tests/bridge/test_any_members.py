"""Random shops: no points come from nothing. `tests/support/any_members.py` says how they are played."""

import pytest

from tests.support.any_members import AnyMembers
from tests.support.medusa import FakeMedusa
from tests.support.sequences import pieces, play

pytestmark = pytest.mark.system


@pieces
def test_points_exist_once_whatever_happens_to_members(piece: int, medusa: FakeMedusa) -> None:
    AnyMembers.medusa = medusa
    play(AnyMembers, few=6)
