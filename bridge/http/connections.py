"""uvicorn's HTTP/1.1 connection with limits for request headers.

uvicorn itself keeps a connection with an unfinished request open without limit. Enough of them block all others.
"""

import asyncio
import os
import socket

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

# From the connection, or from a request's first byte, to the end of its headers. Slow phones need two seconds.
HEAD_SECONDS = 10.0
# Our clients' headers are below 4 KB, and proxies forward at most 8 to 64 KB.
HEAD_BYTES = 64 * 1024


def send_without_delay(fd: int) -> None:
    """Set TCP_NODELAY on a listening socket, from which its connections inherit it.

    uvicorn sets it on sockets that it made, but takes an inherited one for a Unix socket. Each response on a kept
    connection then took 44 ms instead of 0.1 (seen with 0.54).
    """
    with socket.socket(fileno=os.dup(fd)) as listening:
        if listening.family in (socket.AF_INET, socket.AF_INET6):
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Connection(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 connection with limits for request headers. `BodyLimit` limits the body."""

    _due: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
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

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP with a problem document, as every other error. uvicorn's own answer is plain text."""
        from bridge.http.problems import problem  # Commands import this file and not the web framework.

        answer = problem(400, "bad_request", "This is not a valid HTTP request.", {"Connection": "close"})
        headers = (*self.server_state.default_headers, *answer.raw_headers)
        head = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(STATUS_LINE[400] + head + b"\r\n" + bytes(answer.body))
        self.transport.close()

    def _expect_head(self) -> None:
        if self._due is None:
            self._head_bytes = 0
            self._due = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _head_is_there(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
