"""A daily sample of the matrix: one death of each kind, always the same ones while the fail points are the same."""

import random

import pytest

from tests.support.faults.installation import Installation
from tests.support.faults.matrix import DEATHS, cells, discover, suffer
from tests.support.faults.workload import History

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]

_SEED = 6
# A point that depends on who comes first is not passed on every walk; then another one does as well.
_TRIES = 4


@pytest.mark.parametrize("death", DEATHS.values())
def test_one_death_of_each_kind(death: str, stricken: Installation, histories: list[History]) -> None:
    some = [cell for cell in cells(discover(lambda: stricken)) if cell.death == death]
    random.Random(_SEED).shuffle(some)
    assert any(suffer(stricken, [cell], histories) for cell in some[:_TRIES])
