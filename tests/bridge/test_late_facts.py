"""An order edit becomes known before the order as it was placed."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.support.deliveries import deliver
from tests.support.inbox import drain, poll
from tests.support.ledger import give
from tests.support.medusa import FakeMedusa
from tests.support.orders import line, order, order_event
from tests.support.settling import set_rules
from tests.support.store_api import FIVE_EUR, figures, redeemed

in_any_sequence = pytest.mark.parametrize("late", [False, True])


def receive(api: TestClient, medusa: FakeMedusa, placed: dict[str, Any], edited: dict[str, Any], late: bool) -> None:
    medusa.orders["order_1"] = edited
    for document in (edited, placed) if late else (placed, edited):
        deliver(api, order_event(document))
        drain()
    poll()


@in_any_sequence
def test_the_units_that_a_discount_was_for(api: TestClient, medusa: FakeMedusa, late: bool) -> None:
    """An edit leaves the discount as it was, and half of the points come back for half of the units."""
    give(800)
    code = redeemed(api, FIVE_EUR)["code"]
    placed, edited = (
        order(version=version, lines=[line(price=10, quantity=quantity, discount=5, code=code)])
        for version, quantity in ((1, 4), (2, 2))
    )
    receive(api, medusa, placed, edited, late)
    assert figures(api) == (800 - 250 + 15, 0, 565)
    # Once more, and nothing moves.
    receive(api, medusa, placed, edited, late)
    assert figures(api) == (800 - 250 + 15, 0, 565)


@in_any_sequence
def test_a_line_that_the_edit_has_removed(api: TestClient, medusa: FakeMedusa, late: bool) -> None:
    tenth = {"id": "tenth", "name": "A tenth", "kind": "percentage", "dust": 400, "percent": "10"}
    set_rules(redeem={"rewards": [tenth]})
    give(800)
    code = redeemed(api, {"reward_id": "tenth"})["code"]
    first, second = (line(line_id, price=10, discount=1, code=code) for line_id in ("line_1", "line_2"))
    receive(api, medusa, order(lines=[first, second]), order(version=2, lines=[first]), late)
    assert figures(api)[0] == 800 - 200 + 9
