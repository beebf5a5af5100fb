"""Random shops: no points come from nothing. `tests/support/any_shop.py` says how they are played."""

import pytest

from tests.support.any_shop import AnyShop
from tests.support.medusa import FakeMedusa
from tests.support.sequences import pieces, play

pytestmark = pytest.mark.system


@pieces
def test_no_points_come_from_nothing_in_any_shop(piece: int, medusa: FakeMedusa) -> None:
    AnyShop.medusa = medusa
    play(AnyShop, few=6)
