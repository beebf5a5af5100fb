"""Tests of the checker: it finds planted bugs, and nothing without them."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bridge.development.stack.processes import until
from tests.support.faults.checker import check
from tests.support.faults.installation import Installation, Servers, installation, own_servers
from tests.support.faults.matrix import wait_until_correct
from tests.support.faults.scenarios import ALONE, NAMED, Scene, customer_walk
from tests.support.faults.workload import History

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

# A finding may need several runs of periodic jobs.
_SECONDS = 60


def play(running: Installation, tag: str, scene: Scene) -> History:
    with customer_walk(running, tag) as walk:
        scene(walk)
        return walk.history


def play_all(running: Installation, scenes: dict[str, Scene]) -> dict[str, History]:
    """Play all scenes concurrently. Returns their histories by tag."""
    with ThreadPoolExecutor(len(scenes)) as pool:
        playing = {tag: pool.submit(play, running, tag, scene) for tag, scene in scenes.items()}
        return {tag: entry.result() for tag, entry in playing.items()}


def says(running: Installation, history: History, finding: str) -> list[str]:
    """Wait for a finding. Returns nothing if it appears, otherwise what the checker reports instead."""
    wrong: list[str] = []

    def is_found() -> bool:
        wrong[:] = check(history, running.database, running.shop)
        return any(re.match(finding, text) for text in wrong)

    return [] if until(is_found, _SECONDS) else ["not found", *wrong]


@pytest.mark.parametrize("bug", ALONE)
def test_the_checker_finds_a_planted_bug(bug: str, where: Servers, record_property: Any) -> None:
    scene, finding = ALONE[bug]
    with own_servers(where, 1 + list(ALONE).index(bug)) as own, installation(own, bug=bug, workers=4) as running:
        missed = says(running, play(running, "x", scene), finding)
    record_property("bugs", {bug: not missed})
    assert not missed


def test_the_checker_distinguishes_many_bugs(where: Servers, record_property: Any) -> None:
    with own_servers(where, 11) as own, installation(own, bug="named", workers=4) as running:
        histories = play_all(running, {bug: scene for bug, (scene, _) in NAMED.items()})
        missed = {
            bug: message for bug, history in histories.items() if (message := says(running, history, NAMED[bug][1]))
        }
    record_property("bugs", {bug: bug not in missed for bug in NAMED})
    assert not missed


def test_it_finds_nothing_where_nothing_was_planted(where: Servers) -> None:
    with own_servers(where, 9) as own, installation(own, workers=4) as running:
        histories = {bug: play(running, bug, scene) for bug, (scene, _) in ALONE.items()}
        histories |= play_all(running, {bug: scene for bug, (scene, _) in NAMED.items()})
        for bug, (_, finding) in NAMED.items():
            # Not even temporarily: a bug's finding must not be a state that occurs without the bug.
            findings = check(histories[bug], running.database, running.shop)
            assert not any(re.match(finding, text) for text in findings), findings
        for history in histories.values():
            wait_until_correct(running, history)
