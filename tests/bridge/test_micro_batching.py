"""Concurrent requests share a transaction. Each has its own result, and an error fails only its own request."""

import asyncio
import threading
from typing import Any

import pytest
from sqlalchemy import Connection, text

from bridge.clock import now
from bridge.db import DatabaseAway, transaction
from bridge.http.micro_batching import MicroBatcher
from bridge.inbox.events import read_event
from bridge.inbox.receive import Arrival, Receipt, receive_many
from tests.support.databases import lost_database
from tests.support.orders import order, order_event

pytestmark = pytest.mark.usefixtures("settings")


def ask_together(work: Any, items: list[Any], *, first: Any = None) -> list[Any]:
    """The result of each item. With `first`, the batch of that item is running when all others arrive."""
    entered, go_on = threading.Event(), threading.Event()

    def held(connection: Connection, batch: list[Any]) -> list[Any]:
        if batch == [first]:
            entered.set()
            assert go_on.wait(30)
        return work(connection, batch)  # type: ignore[no-any-return]

    async def ask() -> list[Any]:
        together: MicroBatcher[Any, Any] = MicroBatcher("test", held)
        asked = []
        if first is not None:
            asked.append(asyncio.create_task(together(first)))
            await asyncio.to_thread(entered.wait, 30)
        asked += [asyncio.create_task(together(item)) for item in items]
        await asyncio.sleep(0)
        go_on.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(ask())


def test_requests_that_arrive_during_a_batch_share_the_next_batch() -> None:
    batches: list[list[int]] = []

    def double(_: Connection, items: list[int]) -> list[int]:
        batches.append(items)
        return [2 * item for item in items]

    assert ask_together(double, [2, 3, 4], first=1) == [2, 4, 6, 8]
    assert batches == [[1], [2, 3, 4]]


def test_an_answer_comes_after_the_commit() -> None:
    def keep(connection: Connection, items: list[str]) -> list[str]:
        for item in items:
            connection.execute(text("INSERT INTO reconcile_cursor VALUES (:name, :now)"), {"name": item, "now": now()})
        return items

    async def look() -> int:
        together: MicroBatcher[str, str] = MicroBatcher("test", keep)
        await together("one")
        with transaction() as connection:
            return int(connection.scalar(text("SELECT count(*) FROM reconcile_cursor WHERE name = 'one'")) or 0)

    assert asyncio.run(look()) == 1


def test_an_error_in_a_batch_fails_only_the_request_that_caused_it() -> None:
    def divide(_: Connection, items: list[int]) -> list[int]:
        return [12 // item for item in items]

    answers = ask_together(divide, [1, 0, 3], first=2)
    assert [answers[0], answers[1], answers[3]] == [6, 12, 4]
    assert isinstance(answers[2], ZeroDivisionError)


def test_an_unreachable_database_fails_all_and_the_next_one_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    together: MicroBatcher[int, int] = MicroBatcher("test", lambda _, items: items)

    async def ask() -> list[Any]:
        return await asyncio.gather(*(together(item) for item in (1, 2)), return_exceptions=True)

    with lost_database(monkeypatch):
        assert [type(answer) for answer in asyncio.run(ask())] == [DatabaseAway, DatabaseAway]
    assert asyncio.run(ask()) == [1, 2]


def test_while_the_database_is_away_a_batch_is_tried_once_and_not_one_by_one() -> None:
    tried = []

    def nobody_there(_: Connection, items: list[int]) -> list[int]:
        tried.append(items)
        raise DatabaseAway

    answers = ask_together(nobody_there, [2, 3, 4], first=1)
    assert [type(answer) for answer in answers] == [DatabaseAway] * 4
    assert tried == [[1], [2, 3, 4]]


def test_a_client_that_disconnects_leaves_the_others_their_answers() -> None:
    async def ask() -> int:
        together: MicroBatcher[int, int] = MicroBatcher("test", lambda _, items: items)
        gone = asyncio.create_task(together(1))
        await asyncio.sleep(0)
        gone.cancel()
        return await together(2)

    assert asyncio.run(ask()) == 2


def test_of_one_id_twice_in_a_batch_the_first_is_kept() -> None:
    bodies = [order_event(order("order_1")), order_event(order("order_2"))]
    arrivals = [
        Arrival(event_id=event_id, event=read_event(body), body=body, received_at=now())
        for event_id, body in (("msg_b", bodies[0]), ("msg_a", bodies[1]), ("msg_b", bodies[1]))
    ]
    with transaction() as connection:
        receipts = receive_many(connection, arrivals)
    assert receipts == [Receipt.ACCEPTED, Receipt.ACCEPTED, Receipt.DUPLICATE]
    with transaction() as connection:
        kept = {row.id: bytes(row.payload) for row in connection.execute(text("SELECT id, payload FROM webhook_event"))}
        assert receive_many(connection, arrivals) == [Receipt.DUPLICATE] * 3
    assert kept == {"msg_a": bodies[1], "msg_b": bodies[0]}
