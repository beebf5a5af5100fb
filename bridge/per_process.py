"""Values of which each process has one, made when somebody first asks for it."""

import functools
import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class PerProcess(Generic[Value]):
    """Calling it gives this process's value; threads that ask at the same time get the same one.

    `functools.cache` would call `make` once for each of these threads, and connections of the surplus values would
    never be closed. After a fork the child makes a value of its own and keeps its parent's untouched: closing the
    connections of that one would end them for the parent too.
    """

    def __init__(self, make: Callable[[], Value]) -> None:
        functools.update_wrapper(self, make)
        self._make = make
        self._values: dict[int, Value] = {}
        self._start_over()
        os.register_at_fork(after_in_child=self._start_over)

    def _start_over(self) -> None:
        # Another thread may have held the lock of the parent when it forked.
        self._making = threading.Lock()

    def __call__(self) -> Value:
        pid = os.getpid()
        if pid not in self._values:
            with self._making:
                if pid not in self._values:
                    self._values[pid] = self._make()
        return self._values[pid]

    def forget(self) -> Value | None:
        """The value, if there is one, for the caller to close. The next call makes another."""
        return self._values.pop(os.getpid(), None)
