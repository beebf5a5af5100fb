"""Thread limits for requests that call Medusa, so that a slow Medusa does not block requests that do not need it."""

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

from bridge.errors import Unavailable

_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")


class MedusaBusy(Unavailable):
    """Too many requests are waiting for Medusa."""

    code = "medusa_busy"
    message = "The shop is very busy at the moment. Please try again in a few seconds."


class MedusaLimit:
    """Runs at most `calls` requests of a process at a time, on separate threads; up to `waiting` more wait."""

    def __init__(self, name: str, *, calls: int, waiting: int) -> None:
        self.calls, self.waiting = calls, waiting
        self._requests = 0
        # One limiter per event loop.
        self._limiter: RunVar[CapacityLimiter] = RunVar(f"medusa_limit_{name}")

    async def run(
        self, work: Callable[_Arguments, _Answer], *args: _Arguments.args, **named: _Arguments.kwargs
    ) -> _Answer:
        """Run `work` in a thread and return its result. Raises `MedusaBusy` at once if too many requests wait."""
        limiter = self._limiter.get(None)
        if limiter is None:
            limiter = CapacityLimiter(self.calls)
            self._limiter.set(limiter)
        # Counted here, because the limiter does not yet count the first of several requests that arrive together.
        if self._requests >= self.calls + self.waiting:
            raise MedusaBusy
        self._requests += 1
        try:
            return await to_thread.run_sync(partial(work, *args, **named), limiter=limiter)
        finally:
            self._requests -= 1


FOR_CUSTOMERS = MedusaLimit("customers", calls=16, waiting=64)
# Guests' requests are public, so they must not use up the customers' threads.
FOR_GUESTS = MedusaLimit("guests", calls=8, waiting=16)
FOR_OPERATORS = MedusaLimit("operators", calls=4, waiting=16)
