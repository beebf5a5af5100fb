"""Two transactions settle an order for the first time concurrently."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bridge.clock import now
from bridge.db import get_engine, transaction
from bridge.development.stack.processes import until
from bridge.ids import CustomerId, OrderId
from bridge.ledger.queries import read_balance
from bridge.medusa.orders import read_order
from bridge.operations.audit import audit
from bridge.settlement.settle import Settled, settle_orders
from tests.support.databases import waiting_for_locks
from tests.support.orders import line, order


def settle(document: dict[str, Any]) -> Settled:
    with transaction() as connection:
        return settle_orders(connection, [read_order(document)], now=now())[OrderId("order_1")]


@pytest.mark.parametrize(("first", "second", "whole"), [(1, 2, 30), (2, 1, 30)])
def test_the_second_finds_what_the_first_has_booked(
    first: int, second: int, whole: int, settings: dict[str, str]
) -> None:
    facts = {1: order(version=1, lines=[line(price=20)]), 2: order(version=2, lines=[line(price=30)])}
    with ThreadPoolExecutor() as pool:
        with transaction() as connection:
            settle_orders(connection, [read_order(facts[first])], now=now())
            other = pool.submit(settle, facts[second])
            assert until(lambda: waiting_for_locks(settings["DUST_DATABASE_URL"]) > 0, 30)
        settled = other.result(30)
    assert settled.booked == whole
    assert settled.stale is (second < first)
    with transaction() as connection:
        assert read_balance(connection, CustomerId("cus_1")).balance == whole
    assert audit() == []


def test_the_second_posts_it_when_the_first_rolls_back(settings: dict[str, str]) -> None:
    with ThreadPoolExecutor() as pool, get_engine().connect() as connection:
        settle_orders(connection, [read_order(order())], now=now())
        other = pool.submit(settle, order())
        assert until(lambda: waiting_for_locks(settings["DUST_DATABASE_URL"]) > 0, 30)
        connection.rollback()
        assert other.result(30).booked == 10
    assert audit() == []
