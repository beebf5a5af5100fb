"""The checker is believed because it finds bugs that were planted, and nothing where none was."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bridge.development.stack.processes import until
from tests.support.faults.checker import check
from tests.support.faults.installation import Installation, Servers, apart, installation
from tests.support.faults.matrix import holds
from tests.support.faults.scenarios import ALONE, NAMED, Scene, customer_walk
from tests.support.faults.workload import History

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

# A finding may be of what the clock does again: some of its passes.
_SECONDS = 60


def play(found: Installation, tag: str, scene: Scene) -> History:
    with customer_walk(found, tag) as walk:
        scene(walk)
        return walk.history


def play_all(found: Installation, scenes: dict[str, Scene]) -> dict[str, History]:
    """All of these at once, by their tags."""
    with ThreadPoolExecutor(len(scenes)) as pool:
        playing = {tag: pool.submit(play, found, tag, scene) for tag, scene in scenes.items()}
        return {tag: entry.result() for tag, entry in playing.items()}


def says(found: Installation, history: History, finding: str) -> list[str]:
    """What the checker says when it has not said this for long enough; nothing when it has."""
    wrong: list[str] = []

    def is_found() -> bool:
        wrong[:] = check(history, found.database, found.shop)
        return any(re.match(finding, text) for text in wrong)

    return [] if until(is_found, _SECONDS) else ["not found", *wrong]


@pytest.mark.parametrize("bug", ALONE)
def test_the_checker_finds(bug: str, where: Servers, record_property: Any) -> None:
    scene, finding = ALONE[bug]
    with apart(where, 1 + list(ALONE).index(bug)) as own, installation(own, bug=bug, workers=4) as found:
        said = says(found, play(found, "x", scene), finding)
    record_property("bugs", {bug: not said})
    assert not said


def test_the_checker_distinguishes_many_bugs(where: Servers, record_property: Any) -> None:
    with apart(where, 11) as own, installation(own, bug="named", workers=4) as found:
        histories = play_all(found, {bug: scene for bug, (scene, _) in NAMED.items()})
        missed = {bug: said for bug, history in histories.items() if (said := says(found, history, NAMED[bug][1]))}
    record_property("bugs", {bug: bug not in missed for bug in NAMED})
    assert not missed


def test_it_finds_nothing_where_nothing_was_planted(where: Servers) -> None:
    with apart(where, 9) as own, installation(own, workers=4) as found:
        histories = {bug: play(found, bug, scene) for bug, (scene, _) in ALONE.items()}
        histories |= play_all(found, {bug: scene for bug, (scene, _) in NAMED.items()})
        for bug, (_, finding) in NAMED.items():
            # Not even for the moment: what its bug is found by must be more than what is not yet so.
            said = check(histories[bug], found.database, found.shop)
            assert not any(re.match(finding, text) for text in said), said
        for history in histories.values():
            holds(found, history)
