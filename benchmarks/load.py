"""A cheap HTTP load generator in one process: raw HTTP/1.1 over persistent connections, on uvloop.

Closed: every connection sends its next request when the last was answered (no `rate`). Open: requests start at
a fixed rate, and the time a request waited for a free connection counts as its own.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import uvloop

Source = Callable[[int], bytes]
"""Returns the bytes of the n-th request."""


@dataclass(kw_only=True)
class Answers:
    """The responses: seconds of each request, and the number of each status."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    lasted: float = 0.0

    def add(self, more: "Answers") -> None:
        """Add the responses of another run."""
        self.seconds += more.seconds
        self.statuses += more.statuses
        self.lasted += more.lasted

    @property
    def rate(self) -> float:
        return len(self.seconds) / self.lasted if self.lasted else 0.0


def send(
    port: int, source: Source, *, connections: int, seconds: float, rate: float | None = None, most: int | None = None
) -> Answers:
    """Send requests for this long, or up to `most`, and wait for the last responses."""
    return uvloop.run(sending(port, source, connections=connections, seconds=seconds, rate=rate, most=most))


async def sending(
    port: int, source: Source, *, connections: int, seconds: float, rate: float | None = None, most: int | None = None
) -> Answers:
    """As `send`, in an event loop that does other work too."""
    loop = asyncio.get_running_loop()
    run = _Run(source, end=time.perf_counter() + seconds, most=most, closed=rate is None)
    lines = [(await loop.create_connection(lambda: _Line(run), "127.0.0.1", port))[1] for _ in range(connections)]
    started = time.perf_counter()
    run.end = started + seconds
    if rate is None:
        for line in lines:
            line.next()
    else:
        number = 0
        while (due := started + number / rate) < run.end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            run.ask(due)
            number += 1
        run.end = 0.0
    await run.over(lines)
    run.answers.lasted = time.perf_counter() - started
    for line in lines:
        line.close()
    return run.answers


class _Run:
    """State that all connections share."""

    def __init__(self, source: Source, *, end: float, most: int | None, closed: bool) -> None:
        self.answers = Answers()
        self.closed = closed
        self.end = end
        self.idle: deque[_Line] = deque()
        self._source = source
        self._most = most
        self._sent = 0
        self._waiting: deque[float] = deque()

    def take(self) -> bytes | None:
        """The next request, while there is one."""
        if time.perf_counter() >= self.end or (self._most is not None and self._sent >= self._most):
            return None
        self._sent += 1
        return self._source(self._sent - 1)

    def ask(self, due: float) -> None:
        """Open loop: start a request that was due then."""
        if self.idle:
            self.idle.popleft().start(self._number(), due)
        else:
            self._waiting.append(due)

    def free(self, line: "_Line") -> None:
        if self._waiting:
            line.start(self._number(), self._waiting.popleft())
        else:
            self.idle.append(line)

    def _number(self) -> bytes:
        self._sent += 1
        return self._source(self._sent - 1)

    async def over(self, lines: list["_Line"]) -> None:
        deadline = None
        while any(line.busy for line in lines) or self._waiting:
            await asyncio.sleep(0.005)
            if time.perf_counter() > self.end and deadline is None:
                deadline = time.perf_counter() + 30
            if deadline is not None and time.perf_counter() > deadline:
                raise RuntimeError("answers are missing")


class _Line(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._buffer = b""
        self._started = 0.0
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        if not self._run.closed:
            self._run.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.busy:
            self._run.answers.statuses[0] += 1
            self.busy = False

    def next(self) -> None:
        request = self._run.take()
        if request is not None:
            self.start(request, time.perf_counter())

    def start(self, request: bytes, since: float) -> None:
        self.busy, self._started = True, since
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 : head.find(b"\r", at) if b"\r" in head[at:] else None]) if at >= 0 else 0
        if len(rest) < length:
            return
        self._buffer = b""
        self._run.answers.seconds.append(time.perf_counter() - self._started)
        self._run.answers.statuses[int(head[9:12])] += 1
        self.busy = False
        if self._run.closed:
            self.next()
        else:
            self._run.free(self)

    def close(self) -> None:
        self._transport.close()
