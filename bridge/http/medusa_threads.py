"""A limit for requests that call Medusa, so that a slow Medusa takes no thread from requests that do not need it."""

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

from bridge.errors import Unavailable

_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")


class MedusaBusy(Unavailable):
    """As many requests wait for Medusa as may."""

    code = "medusa_busy"

    def __init__(self) -> None:
        super().__init__("The shop is very busy at the moment. Please try again in a few seconds.")


class MedusaLimit:
    """At most `calls` requests of a process are at work at a time, on threads of their own; `waiting` more wait."""

    def __init__(self, name: str, *, calls: int, waiting: int) -> None:
        self.calls, self.waiting = calls, waiting
        self._requests = 0
        # One for each event loop.
        self._limiter: RunVar[CapacityLimiter] = RunVar(f"medusa_limit_{name}")

    async def run(
        self, work: Callable[_Arguments, _Answer], *args: _Arguments.args, **named: _Arguments.kwargs
    ) -> _Answer:
        """What `work` returns. Raises `MedusaBusy` at once when too many wait already."""
        limiter = self._limiter.get(None)
        if limiter is None:
            limiter = CapacityLimiter(self.calls)
            self._limiter.set(limiter)
        # Not the limiter's own figure, which of requests that come at once does not count the first ones yet.
        if self._requests >= self.calls + self.waiting:
            raise MedusaBusy
        self._requests += 1
        try:
            return await to_thread.run_sync(partial(work, *args, **named), limiter=limiter)
        finally:
            self._requests -= 1


FOR_CUSTOMERS = MedusaLimit("customers", calls=16, waiting=64)
# Public, so they must not use up the customers' threads.
FOR_GUESTS = MedusaLimit("guests", calls=8, waiting=16)
FOR_OPERATORS = MedusaLimit("operators", calls=4, waiting=16)
