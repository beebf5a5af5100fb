"""The stories in `tests/scenarios` hold, and a wrong one is reported with its line."""

from pathlib import Path
from typing import Any

import pytest

from bridge.clock import real_now
from bridge.db import dispose_engine
from bridge.development.scenarios.document import UnreadableScenario, read_scenario
from bridge.development.scenarios.play import Failure, play
from bridge.development.scenarios.shop import Shop, serving
from bridge.medusa.client import get_medusa
from bridge.settings import get_settings

STORIES = sorted((Path(__file__).parents[1] / "scenarios").glob("*.yaml"))


@pytest.fixture
def shop(settings: dict[str, str], enqueued: list[Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    shop = Shop()
    with serving(shop) as address:
        monkeypatch.setenv("DUST_MEDUSA_URL", address)
        get_settings.cache_clear()
        get_medusa.clear()
        yield shop
        get_medusa().close()
        dispose_engine()


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.stem)
def test_the_story_holds(story: Path, shop: Shop) -> None:
    before = real_now()
    assert play(read_scenario(story.read_text(), story.name), shop) == []
    # Time is where it was.
    assert (real_now() - before).days == 0


def reported(text: str, shop: Shop) -> list[Failure]:
    return play(read_scenario(text, "story.yaml"), shop)


def test_an_unexpected_result_is_reported_with_its_line_and_the_story_goes_on(shop: Shop) -> None:
    failures = reported(
        """\
name: Wrong
steps:
  - {order: first, customer: ada, items: [{product: shirt, price: 20}]}
  - {expect: ada, balance: 21, pending: 1}
  - {return: first, items: {shirt: 2}}
  - {redeem: some, customer: ada, dust: 500}
  - {redeem: more, customer: ada, dust: 10, fails: insufficient_dust}
  - {order: second, customer: ada, uses: [nothing], items: [{product: shirt, price: 20}]}
  - cancel: third
  - {expect: ada, balance: 20, held: 10}
# To the audit after the test, what was open long ago would be overdue.
starts: 2100-01-01T12:00:00Z
""",
        shop,
    )
    assert [(failure.line, failure.words) for failure in failures] == [
        (4, "ada: balance should be 21, and is 20; pending should be 1, and is 0"),
        (5, "Order first has 1 of shirt, not 2."),
        (6, "Dust refuses: You need 500 points and have 20. (insufficient_dust)"),
        (7, "It succeeded, and should have failed with insufficient_dust."),
        (8, "There is no redemption nothing."),
        (9, "There is no order third."),
    ]


def test_a_code_is_refused_once_it_was_used(shop: Shop) -> None:
    (failure,) = reported(
        """\
name: Twice
steps:
  - {adjust: ada, dust: 100}
  - {redeem: one, customer: ada, dust: 100}
  - {order: first, customer: ada, uses: [one], items: [{product: shirt, price: 20}]}
  - {order: second, customer: ada, uses: [one], items: [{product: shirt, price: 20}]}
""",
        shop,
    )
    assert failure.line == 6
    assert "is over or was used" in failure.words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [", "story.yaml:1: this is not valid YAML"),
        ("- 1", "story.yaml:1: the file: "),
        ("name: x\nsteps: []", "story.yaml:2: steps: "),
        ("name: x\nstep: []\nsteps: [{join: ada}]", "story.yaml:2: step: Extra inputs"),
        ("name: x\nsteps:\n  - {join: ada}\n  - {dance: ada}", "story.yaml:4: a step says one of: order, pay"),
        (
            "name: x\nsteps:\n  - order: a\n    customer: ada\n    items:\n      - product: shirt\n        price: -1",
            "story.yaml:7: steps.0.items.0.price: ",
        ),
        ("name: x\nsteps:\n  - wait: 3 days", "story.yaml:3: steps.0.wait: '3 days' is no span of time"),
        ("name: x\nrules:\n  earn:\n    rates: {EUR: 1}\nsteps: [{join: ada}]", "story.yaml:4: rules.earn.rates.EUR"),
        ("name: x\nsteps:\n  - join: ada\n    join: bob", "story.yaml:4: join is there twice"),
        ("name: x\nsteps:\n  - {pay: a b}", "story.yaml:3: steps.0.pay: "),
        ("name: x\nsteps:\n  - {expect: ada, balance: 1.5}", "story.yaml:3: steps.0.balance: "),
        ("a: &a [*a]", "story.yaml"),
        ("? [1, 2]\n: 3", "story.yaml"),
    ],
)
def test_a_mistake_in_a_story_is_reported_with_line_and_field(text: str, words: str) -> None:
    with pytest.raises(UnreadableScenario) as refused:
        read_scenario(text, "story.yaml")
    assert refused.value.message.startswith(words)


def test_everything_that_is_wrong_is_reported_at_once() -> None:
    with pytest.raises(UnreadableScenario) as refused:
        read_scenario("name: x\nsteps:\n  - {pay: 3}\n  - {wait: 5}\n  - {jump: 1}", "story.yaml")
    assert len(refused.value.message.splitlines()) == 3
