"""Each process dies at each point of the road, under load, and nothing that was acknowledged is lost or done twice."""

import os
import subprocess
from typing import Any

import pytest

from bridge.stack.processes import until
from bridge.stack.up import DUST
from tests.faults.house import House
from tests.faults.matrix import Cell, holds
from tests.faults.road import History, walking
from tests.faults.shop import Trouble

pytestmark = pytest.mark.faults

# A point that depends on who comes first is not passed on every walk.
_WALKS = 3


@pytest.mark.timeout(600)
def test_a_death_at(cell: Cell, stricken: House, histories: list[History], outcome: Any) -> None:
    assert until(stricken.live, 300)
    happened = arm(stricken, cell)
    mine = []
    for _ in range(_WALKS):
        with walking(stricken, f"c{len(histories)}") as (history, arrive):
            mine.append(history)
            histories.append(history)
            arrive()
        # What the clock brings comes once in three seconds at the latest.
        if until(happened, 4):
            break
    stricken.disarm()
    for history in mine:
        holds(stricken, history)
    if not happened():
        pytest.skip("none of the walks passed this point")
    outcome("ok")


def arm(house: House, cell: Cell) -> Any:
    """Make it happen once; what says whether it has."""
    if cell.action != "hang":
        house.arm(cell.point, cell.action)
        return lambda: house.fired
    method, path = cell.point.name.split(" ")[:2]
    trouble = Trouble(method=method, mark=path.replace(":id", "").rstrip("/").replace("//", "/"), how="hang")
    house.shop.troubles.insert(0, trouble)
    return lambda: trouble.times == 0


def test_what_all_cells_left_behind_holds_together(stricken: House, histories: list[History]) -> None:
    for history in histories:
        holds(stricken, history)
    environment = {**os.environ, "DUST_DATABASE_URL": stricken.database}
    audit = subprocess.run([*DUST, "audit"], env=environment, capture_output=True, text=True, check=False)
    assert audit.returncode == 0, audit.stdout
