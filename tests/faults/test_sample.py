"""A daily sample of the matrix: one fault of each kind, the same ones while the fail points do not change."""

import random

import pytest

from tests.support.faults.installation import Installation
from tests.support.faults.matrix import FAILURES, cells, discover, run_faults
from tests.support.faults.workload import History

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]

_SEED = 6
# A point that depends on the timing is not passed in every walk; another one is used then.
_TRIES = 4


@pytest.mark.parametrize("failure", FAILURES.values())
def test_one_failure_of_each_kind(failure: str, shared_installation: Installation, histories: list[History]) -> None:
    some = [cell for cell in cells(discover(lambda: shared_installation)) if cell.failure == failure]
    random.Random(_SEED).shuffle(some)
    assert any(run_faults(shared_installation, [cell], histories) for cell in some[:_TRIES])
