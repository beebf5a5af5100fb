"""Thread limits for requests that take long: those that call Medusa, and reports.

So a slow Medusa, or a report over a large ledger, does not block requests that need neither.
"""

from collections.abc import Awaitable, Callable
from functools import partial, wraps
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


class ReportsBusy(Unavailable):
    """Too many requests are waiting for reports."""

    code = "reports_busy"
    message = "Other reports are being read at the moment. Please try again when they are done."


class ThreadLimit:
    """Runs at most `calls` requests of a process at a time, on separate threads; up to `waiting` more wait."""

    def __init__(self, name: str, *, calls: int, waiting: int, busy: type[Unavailable] = MedusaBusy) -> None:
        self.calls, self.waiting, self._busy = calls, waiting, busy
        self._requests = 0
        # One limiter per event loop.
        self._limiter: RunVar[CapacityLimiter] = RunVar(f"thread_limit_{name}")

    async def run(
        self, work: Callable[_Arguments, _Answer], *args: _Arguments.args, **named: _Arguments.kwargs
    ) -> _Answer:
        """Run `work` in a thread and return its result. Raises the error `busy` at once if too many requests wait."""
        limiter = self._limiter.get(None)
        if limiter is None:
            limiter = CapacityLimiter(self.calls)
            self._limiter.set(limiter)
        # Counted here, because the limiter does not yet count the first of several requests that arrive together.
        if self._requests >= self.calls + self.waiting:
            raise self._busy
        self._requests += 1
        try:
            return await to_thread.run_sync(partial(work, *args, **named), limiter=limiter)
        finally:
            self._requests -= 1

    def applied(self, endpoint: Callable[_Arguments, _Answer]) -> Callable[_Arguments, Awaitable[_Answer]]:
        """Decorator for an endpoint: run it within the limit."""

        @wraps(endpoint)
        async def limited(*args: _Arguments.args, **named: _Arguments.kwargs) -> _Answer:
            return await self.run(endpoint, *args, **named)

        return limited


FOR_CUSTOMERS = ThreadLimit("customers", calls=16, waiting=64)
# Guests' requests are public, so they must not use up the customers' threads.
FOR_GUESTS = ThreadLimit("guests", calls=8, waiting=16)
FOR_OPERATORS = ThreadLimit("operators", calls=4, waiting=16)
# Each keeps one of the process's ten connections to Postgres, for minutes if the ledger is large.
FOR_REPORTS = ThreadLimit("reports", calls=2, waiting=16, busy=ReportsBusy)
