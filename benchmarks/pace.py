"""How fast a core is just now: those of a virtual machine are not always equally fast.

The same piece of work, a reading of one event by Python's own JSON reader, is done again and again beside a measure,
and counted by the CPU time it takes; so it does not matter how busy the machine is, only how fast.
"""

import json
import time

from benchmarks.deliveries import body
from benchmarks.figures import percentile

# About 5 ms of every half second: a hundredth of one core.
EVERY_SECONDS, _READINGS = 0.5, 150


class Pace:
    """Readings in a CPU second; sampled by whoever waits for a measure."""

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
