"""Values that exist once per process: with concurrent threads, and after a fork."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from bridge.per_process import PerProcess

THREADS = 8


def test_threads_that_ask_at_the_same_time_get_the_same_value() -> None:
    all_ask = Barrier(THREADS)
    values: list[object] = []

    @PerProcess
    def value() -> object:
        time.sleep(0.1)
        values.append(object())
        return values[-1]

    def ask(_: int) -> object:
        all_ask.wait()
        return value()

    with ThreadPoolExecutor(THREADS) as pool:
        assert set(pool.map(ask, range(THREADS))) == set(values)
    assert len(values) == 1


def test_a_child_makes_its_own_although_a_thread_of_the_parent_was_making_one() -> None:
    value = PerProcess(object)
    with value._making:
        child = os.fork()
        if not child:
            os._exit(0 if value() is not None else 1)
        assert os.waitpid(child, 0)[1] == 0

    of_parent = value()
    child = os.fork()
    if not child:
        os._exit(0 if value() is not of_parent and of_parent in value._values.values() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert value() is of_parent


def test_clear_returns_the_value_to_be_closed() -> None:
    value = PerProcess(object)
    assert value.clear() is None
    first = value()
    assert value.clear() is first
    assert value() is not first
