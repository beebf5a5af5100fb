"""Micro-batching: concurrent requests of one kind share a database statement.

Requests that arrive while a batch runs form the next batch. In a busy shop dozens of requests need the same small query
at the same time. Alone, each costs a thread, one to three round trips and a commit; a batch costs hardly more than one
request. There is no waiting for a batch to fill: a single request runs at once.
"""

import asyncio
import contextlib
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from bridge.db import single_statements
from bridge.errors import Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")

# One process rarely has more waiting requests. It also bounds the size of a batch.
_MOST = 128


@dataclass(frozen=True)
class _Asked(Generic[Item, Result]):
    item: Item
    answer: "asyncio.Future[Result]"
    loop: asyncio.AbstractEventLoop


class MicroBatcher(Generic[Item, Result]):
    """`await together(item)` returns the result of `work` for this item after the commit, or raises its error.

    `work` gets a connection and the collected items, and returns one result per item in the same order. It writes with
    at most one statement, which is its transaction. All batches run in one thread, so `work` must be short and must not
    wait for others.
    """

    def __init__(self, name: str, work: Callable[[Connection, list[Item]], Sequence[Result]]) -> None:
        self._name = name
        self._work = work
        self._asked: queue.SimpleQueue[_Asked[Item, Result]] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    async def __call__(self, item: Item) -> Result:
        loop = asyncio.get_running_loop()
        asked: _Asked[Item, Result] = _Asked(item, loop.create_future(), loop)
        if self._thread is None:
            self._start()
        self._asked.put(asked)
        return await asked.answer

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"dust-{self._name}", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            batch = [self._asked.get()]
            while len(batch) < _MOST and not self._asked.empty():
                batch.append(self._asked.get())
            self._do(batch)

    def _do(self, batch: list[_Asked[Item, Result]]) -> None:
        results: list[tuple[_Asked[Item, Result], Any]]
        try:
            with single_statements() as connection:
                done = self._work(connection, [asked.item for asked in batch])
            results = list(zip(batch, done, strict=True))
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, Unavailable):
                # One item caused the error. Run each alone, so that only its request fails.
                for asked in batch:
                    self._do([asked])
                return
            results = [(asked, error) for asked in batch]
        answers = defaultdict(list)
        for asked, result in results:
            answers[asked.loop].append((asked.answer, result))
        for loop, given in answers.items():
            # If the loop has ended meanwhile, no request waits in it.
            with contextlib.suppress(RuntimeError):
                # One call for all results of a loop wakes it only once.
                loop.call_soon_threadsafe(_give, given)


def _give(answers: list[tuple["asyncio.Future[Any]", Any]]) -> None:
    for answer, result in answers:
        if answer.done():
            continue  # its request was cancelled
        if isinstance(result, Exception):
            answer.set_exception(result)
        else:
            answer.set_result(result)
