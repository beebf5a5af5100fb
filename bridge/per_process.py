"""Lazy values of which each process has its own, such as the database engine."""

import functools
import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class PerProcess(Generic[Value]):
    """Calling it returns this process's value, which is created at the first call. Concurrent threads get the same one.

    `functools.cache` could call `make` once per thread, and the connections of the extra values would never be closed.
    After a fork the child creates its own value and does not touch its parent's, because closing the connections in
    that would end them for the parent too.
    """

    def __init__(self, make: Callable[[], Value]) -> None:
        functools.update_wrapper(self, make)
        self._make = make
        self._values: dict[int, Value] = {}
        self._start_over()
        os.register_at_fork(after_in_child=self._start_over)

    def _start_over(self) -> None:
        # In a forked child: another thread of the parent may have held the lock.
        self._making = threading.Lock()

    def __call__(self) -> Value:
        pid = os.getpid()
        if pid not in self._values:
            with self._making:
                if pid not in self._values:
                    self._values[pid] = self._make()
        return self._values[pid]

    def clear(self) -> Value | None:
        """Remove and return the value, if any, for the caller to close. The next call creates another."""
        return self._values.pop(os.getpid(), None)
