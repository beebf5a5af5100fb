"""uvicorn's HTTP/1.1 connection with limits for request headers, and with responses sent in one packet.

uvicorn itself keeps a connection with an unfinished request open without limit. Enough of them block all others.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# From the connection, or from a request's first byte, to the end of its headers. Slow phones need two seconds.
HEAD_SECONDS = 10.0
# Our clients' headers are below 4 KB, and proxies forward at most 8 to 64 KB.
HEAD_BYTES = 64 * 1024


class Connection(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 connection with limits for request headers. `BodyLimit` limits the body."""

    _due: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = _OneWrite(transport, self.loop)  # type: ignore[assignment]
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_there()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._due is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        # Checked after parsing, because the end of the headers and a body may arrive in the same chunk.
        if self._due is not None and self._head_bytes > HEAD_BYTES:
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._head_is_there()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        if self._due is None:
            self._head_bytes = 0
            self._due = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _head_is_there(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


class _OneWrite:
    """A transport that sends all writes of one event loop iteration together.

    uvicorn writes the headers and then the body. Two packets would be two system calls here, and would wake the reader
    for the first one only to wait for the second.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self._send)
        self._held.append(data)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def _send(self) -> None:
        held, self._held = self._held, []
        if held and not self._transport.is_closing():
            self._transport.write(b"".join(held))
