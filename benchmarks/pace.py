"""The speed of a CPU core during a run. Cores of a virtual machine are not always equally fast.

The same work, parsing one event with Python's JSON parser, is repeated during a benchmark and counted per CPU second.
So the result depends on the speed of the machine, not on its load.
"""

import json
import time

from benchmarks.deliveries import body
from benchmarks.figures import percentile

# About 5 ms of every half second: a hundredth of one core.
EVERY_SECONDS, _READINGS = 0.5, 150


class Pace:
    """Work units done per CPU second. Sampled while a benchmark runs in another process."""

    def __init__(self) -> None:
        self._body = body(1, 1)
        self._seconds: list[float] = []

    def sample(self) -> None:
        started = time.thread_time()
        for _ in range(_READINGS):
            json.loads(self._body)
        self._seconds.append(time.thread_time() - started)

    @property
    def mean(self) -> float:
        return _READINGS * len(self._seconds) / sum(self._seconds)

    def __str__(self) -> str:
        slow, fast = (_READINGS / percentile(self._seconds, share) for share in (0.9, 0.1))
        return f"{self.mean:,.0f} readings in a CPU second, from {slow:,.0f} to {fast:,.0f} in four fifths of the time"
