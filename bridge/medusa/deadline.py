"""A deadline for whole calls with httpx, whose own timeouts are for each packet.

A server that sends its headers or its answer byte by byte, or one `102 Processing` after the other, would keep a call
open for much longer. Seen with httpx 0.28: ten seconds with a timeout of one.
"""

import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

_SocketOptions = Iterable[Any] | None


class Deadline:
    """The deadline of the call that runs in a thread."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Reads and writes in the block raise `httpx.ReadTimeout` or `httpx.WriteTimeout` after `seconds`."""
        self._of_thread.end = time.monotonic() + seconds
        try:
            yield
        finally:
            self._of_thread.end = None

    def watch(self, client: httpx.Client) -> None:
        """Make a client keep to the deadline, also where it calls through a proxy of the environment."""
        # httpx has no public way to give its connection pools another network.
        for transport in (client._transport, *client._mounts.values()):
            if isinstance(transport, httpx.HTTPTransport):
                pool = transport._pool
                pool._network_backend = _Network(pool._network_backend, self)

    def left(self, timeout: float | None, error: type[Exception]) -> float | None:
        """The timeout, or the time until the deadline if that is sooner. Raises `error` after the deadline."""
        end = getattr(self._of_thread, "end", None)
        if end is None:
            return timeout
        left = float(end - time.monotonic())
        if left <= 0:
            raise error("The call took too long.")
        return left if timeout is None else min(timeout, left)


class _Network(httpcore.NetworkBackend):
    def __init__(self, network: httpcore.NetworkBackend, deadline: Deadline) -> None:
        self._network, self._deadline = network, deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: _SocketOptions = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError(f"{host} has no address.")
        addresses = _addresses(host, port)
        # Each in turn, with its part of the time that is left: `connect_tcp` would give each of them the whole timeout.
        for number, address in enumerate(addresses):
            left = self._deadline.left(timeout, httpcore.ConnectTimeout)
            part = None if left is None else left / (len(addresses) - number)
            try:
                stream = self._network.connect_tcp(address, port, part, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _Stream(stream, self._deadline)
        raise failure

    def sleep(self, seconds: float) -> None:
        self._network.sleep(seconds)


def _addresses(host: str, port: int) -> list[str]:
    try:
        return [str(address[0]) for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        timeout = self._deadline.left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
