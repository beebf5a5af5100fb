"""Each process is killed at each fail point under load: nothing acknowledged is lost or done twice."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.faults.installation import Installation
from tests.support.faults.matrix import Cell, run_faults
from tests.support.faults.workload import History

pytestmark = [pytest.mark.faults, pytest.mark.timeout(7200)]


def test_failures(
    batch: Sequence[Cell], shared_installation: Installation, histories: list[History], record_property: Any
) -> None:
    """Several cells of the matrix in one walk; `--together` sets how many."""
    record_property("cells", [(str(cell), cell.failure, cell.point.kind) for cell in batch])
    record_property("happened", [str(cell) for cell in run_faults(shared_installation, batch, histories)])
