"""The checker is believed because it finds bugs that were planted, and nothing where none was."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest

from bridge.stack.processes import until
from tests.faults.checker import check
from tests.faults.house import House, Point, Servers, apart, house
from tests.faults.matrix import holds
from tests.faults.road import PATIENCE_SECONDS, History, Walk
from tests.faults.shop import Trouble
from tests.support.orders import event, order_event

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

MANY = 12


@contextmanager
def somebody(found: House, tag: str) -> Iterator[Walk]:
    with httpx.Client(base_url=found.url, timeout=10, trust_env=False) as client:
        yield Walk(house=found, history=History(tag=tag), client=client, now=datetime.now(UTC))


def asks_again_after_a_death(walk: Walk) -> None:
    """The API dies after an adjustment is booked and before it says so."""
    point = Point(
        role="api",
        kind="answer",
        name="201 POST /admin/dust/customers/{customer_id}/adjustments",
        moment="before",
    )
    walk.house.arm((point, "kill"))
    walk.give("a", 100, "once")
    assert walk.house.fired()


def changes_an_order_many_times_at_once(walk: Walk) -> None:
    """Many events of one order, each in a task of its own, come as far as its customer's account together."""
    walk.deliver("a", order_event(walk.order("a", "a", 10)))
    eventually_handled(walk, 1)
    changed = walk.order("a", "a", 17, version=2)
    walk.settles(changed, 17)
    with psycopg.connect(walk.house.database) as other:
        other.execute("SELECT FROM dust_balance FOR UPDATE")
        for number in range(MANY):
            walk.deliver(f"change{number}", event("order-edit.confirmed", {"id": changed["id"]}))
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        assert until(lambda: walk.sql(waiting)[0][0] >= 2, PATIENCE_SECONDS)
    eventually_handled(walk, 1 + MANY)


def is_acknowledged_and_then_dies(walk: Walk) -> None:
    """The API dies as soon as it has acknowledged an event."""
    point = Point(role="api", kind="answer", name="202 POST /webhooks/medusa", moment="after")
    walk.house.arm((point, "kill"))
    document = walk.order("a", "a", 10)
    walk.settles(document, 10)
    walk.deliver("a", order_event(document))
    assert until(lambda: bool(walk.house.fired()), PATIENCE_SECONDS)
    assert until(walk.house.live, PATIENCE_SECONDS)


def is_over_while_medusa_is_away(walk: Walk) -> None:
    """A redemption runs out, and Medusa cannot be asked about its code for a while."""
    walk.give("a", 500, "to spend")
    wish = walk.redeem("a", 500, ends="released")
    code = walk.read(wish)["code"]
    walk.house.shop.troubles.append(Trouble(method="GET", mark=code, how="away", times=2))
    walk.sql("UPDATE dust_redemption SET expires_at = now() WHERE id = %s", wish.redemption_id)
    walk.reaches(wish, "released")


def eventually_handled(walk: Walk, number: int) -> None:
    query = "SELECT count(*) FROM webhook_event WHERE state = 'handled' AND starts_with(id, %s)"
    assert until(lambda: walk.sql(query, f"msg_{walk.tag}_")[0][0] >= number, PATIENCE_SECONDS)


# By bug: what happens, and what the checker says of it.
_SCENES: dict[str, tuple[Callable[[Walk], None], str]] = {
    "no-dedupe": (asks_again_after_a_death, "adjustment: "),
    "no-lock": (changes_an_order_many_times_at_once, "order: "),
    "ack-before-commit": (is_acknowledged_and_then_dies, "lost: "),
    "release-in-doubt": (is_over_while_medusa_is_away, "in doubt: "),
}


@pytest.mark.parametrize("bug", _SCENES)
def test_the_checker_finds(bug: str, where: Servers, record_property: Any) -> None:
    record_property("bug", bug)
    scene, finding = _SCENES[bug]
    with apart(where, 1 + list(_SCENES).index(bug)) as own, house(own, bug=bug, workers=4) as found:
        with somebody(found, "x") as walk:
            scene(walk)
        wrong: list[Any] = []

        def is_found() -> bool:
            wrong[:] = check(walk.history, found.database, found.shop)
            return any(each.startswith(finding) for each in wrong)

        assert until(is_found, 10), wrong


def test_it_finds_nothing_where_nothing_was_planted(where: Servers) -> None:
    with apart(where, 9) as own, house(own, workers=4) as found:
        for number, (scene, _) in enumerate(_SCENES.values()):
            with somebody(found, f"y{number}") as walk:
                scene(walk)
            holds(found, walk.history)
