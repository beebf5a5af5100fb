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
_MAX_BATCH = 128


@dataclass(frozen=True)
class _Request(Generic[Item, Result]):
    item: Item
    answer: "asyncio.Future[Result]"
    loop: asyncio.AbstractEventLoop


class MicroBatcher(Generic[Item, Result]):
    """`await batcher(item)` returns the result of `work` for this item after the commit, or raises its error.

    `work` gets a connection and the collected items, and returns one result per item in the same order. It writes with
    at most one statement, which is its transaction. All batches run in one thread, so `work` must be short and must not
    wait for others.
    """

    def __init__(self, name: str, work: Callable[[Connection, list[Item]], Sequence[Result]]) -> None:
        self._name = name
        self._work = work
        self._requests: queue.SimpleQueue[_Request[Item, Result]] = queue.SimpleQueue()
        self._start_lock = threading.Lock()
        self._thread: threading.Thread | None = None

    async def __call__(self, item: Item) -> Result:
        loop = asyncio.get_running_loop()
        request: _Request[Item, Result] = _Request(item, loop.create_future(), loop)
        if self._thread is None:
            self._start()
        self._requests.put(request)
        return await request.answer

    def _start(self) -> None:
        with self._start_lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"dust-{self._name}", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            batch = [self._requests.get()]
            while len(batch) < _MAX_BATCH and not self._requests.empty():
                batch.append(self._requests.get())
            self._run_batch(batch)

    def _run_batch(self, batch: list[_Request[Item, Result]]) -> None:
        results: list[tuple[_Request[Item, Result], Any]]
        try:
            with single_statements() as connection:
                done = self._work(connection, [request.item for request in batch])
            results = list(zip(batch, done, strict=True))
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, Unavailable):
                # One item caused the error. Run each alone, so that only its request fails.
                for request in batch:
                    self._run_batch([request])
                return
            results = [(request, error) for request in batch]
        answers = defaultdict(list)
        for request, result in results:
            answers[request.loop].append((request.answer, result))
        for loop, given in answers.items():
            # If the loop has ended meanwhile, no request waits in it.
            with contextlib.suppress(RuntimeError):
                # One call for all results of a loop wakes it only once.
                loop.call_soon_threadsafe(_set_results, given)


def _set_results(answers: list[tuple["asyncio.Future[Any]", Any]]) -> None:
    for answer, result in answers:
        if answer.done():
            continue  # its request was cancelled
        if isinstance(result, Exception):
            answer.set_exception(result)
        else:
            answer.set_result(result)
