"""Random shops whose points expire: `tests/support/any_expiring_members.py` says how they are played."""

import pytest

from tests.support.any_expiring_members import ExpiringMembers
from tests.support.medusa import FakeMedusa
from tests.support.sequences import pieces, play

pytestmark = pytest.mark.system


@pieces
def test_expired_points_are_taken_once_whatever_happens_to_members(piece: int, medusa: FakeMedusa) -> None:
    ExpiringMembers.medusa = medusa
    play(ExpiringMembers, few=6)
