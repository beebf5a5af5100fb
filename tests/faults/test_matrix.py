"""Each process dies at each fail point, under load, and nothing that was acknowledged is lost or done twice."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.faults.installation import Installation
from tests.support.faults.matrix import Cell, suffer
from tests.support.faults.workload import History

pytestmark = [pytest.mark.faults, pytest.mark.timeout(7200)]


def test_deaths(batch: Sequence[Cell], stricken: Installation, histories: list[History], record_property: Any) -> None:
    """A few of the matrix's cells in one walk, far from each other or not; how many is said by `--together`."""
    record_property("cells", [(str(cell), cell.death, cell.point.kind) for cell in batch])
    record_property("happened", [str(cell) for cell in suffer(stricken, batch, histories)])
