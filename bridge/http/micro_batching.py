"""Requests that come together share a statement: whoever asks while one is under way goes into the next.

In a busy shop dozens of requests want the same small thing of Postgres at the same moment. Each on its own
costs a thread, a round trip or three and a commit; together they cost hardly more than one. Nobody waits for company:
when it is quiet, every request is a batch of its own, and goes at once.
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

# Requests of one process that wait at the same moment are hardly ever more; it also bounds what a batch can weigh.
_MOST = 128


@dataclass(frozen=True)
class _Asked(Generic[Item, Result]):
    item: Item
    answer: "asyncio.Future[Result]"
    loop: asyncio.AbstractEventLoop


class Together(Generic[Item, Result]):
    """`await together(item)` gives what `work` returned for it, after the commit; or raises what went wrong.

    `work` gets a connection and the items that have gathered, and returns a result for each, in their order. It changes
    things by one statement at most, which is its transaction. It runs in one thread of this object's own, so what it
    does must be short and must not wait for anybody else.
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
                # One of them is to blame, and only that one shall hear of it.
                for asked in batch:
                    self._do([asked])
                return
            results = [(asked, error) for asked in batch]
        answers = defaultdict(list)
        for asked, result in results:
            answers[asked.loop].append((asked.answer, result))
        for loop, given in answers.items():
            # A loop that has ended meanwhile has nobody left who waits.
            with contextlib.suppress(RuntimeError):
                # One call wakes the loop once, however many wait in it.
                loop.call_soon_threadsafe(_give, given)


def _give(answers: list[tuple["asyncio.Future[Any]", Any]]) -> None:
    for answer, result in answers:
        if answer.done():
            continue  # its request has gone away
        if isinstance(result, Exception):
            answer.set_exception(result)
        else:
            answer.set_result(result)
