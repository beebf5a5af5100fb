"""Slow clients against a real server: hundreds never finish a request, and all other clients are served."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn

from bridge.cli import servers
from bridge.http import body_limits, connections
from bridge.settings import get_settings
from tests.support.deliveries import deliver
from tests.support.orders import order, order_event
from tests.support.processes import eventually

pytestmark = pytest.mark.servers

SLOW = 300
STARTS = {
    "nothing at all": b"",
    "half a request line": b"POST /webhooks/med",
    "headers without end": b"POST /webhooks/medusa HTTP/1.1\r\nHost: dust\r\nX-A: b\r\n",
    "a body that does not come": b"POST /webhooks/medusa HTTP/1.1\r\nHost: dust\r\nContent-Length: 1000\r\n\r\n{",
}


@contextmanager
def connected(url: str, number: int) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        address = urlsplit(url)
        yield [
            stack.enter_context(socket.create_connection((address.hostname, address.port), timeout=60))
            for _ in range(number)
        ]


def is_closed(slow: socket.socket) -> bool:
    """Whether the server has closed the connection; a response before that is ignored."""
    slow.settimeout(0.01)
    try:
        return slow.recv(65_536) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def send_for_ever(endless: socket.socket) -> None:
    while True:
        endless.sendall(b"X-A: " + b"a" * 8_000 + b"\r\n")


@pytest.fixture
def url(settings: dict[str, str], enqueued: list[Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a server as `dust serve` starts it, in a thread, with short timeouts."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 1.0)
    monkeypatch.setattr(body_limits, "BODY_SECONDS", 1.0)
    options: dict[str, Any] = {}
    monkeypatch.setattr(uvicorn, "run", lambda _app, **given: options.update(given))
    monkeypatch.setenv("DUST_PORT", "0")
    get_settings.cache_clear()
    servers.serve(reload=False, workers=1)
    server = uvicorn.Server(uvicorn.Config("bridge.app:create_app", **options))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def test_slow_clients_delay_no_request_and_are_disconnected(url: str) -> None:
    with connected(url, SLOW) as slow:
        for number, connection in enumerate(slow):
            connection.sendall(list(STARTS.values())[number % len(STARTS)])
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            for number in range(5):
                assert deliver(client, order_event(order()), event_id=f"msg_{number}").status_code == 202
        # Endless headers are refused by their size, before the timeout.
        with connected(url, 1) as (endless,):
            endless.sendall(b"GET / HTTP/1.1\r\n")
            with pytest.raises(ConnectionError):
                send_for_ever(endless)
        eventually(lambda: all(is_closed(client) for client in slow if client is not slow[3]))
        # A client that sent its headers in time gets an error response.
        answer = slow[3].makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"code":"too_slow"' in answer
