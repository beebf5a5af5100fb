"""A request that is not HTTP gets a problem document, as every other error."""

import asyncio
import json
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from bridge.http.connections import Connection


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent, self.closed = b"", False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


async def no_app(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("no request gets this far")


async def answer_to(request: bytes) -> Transport:
    config, state, transport = Config(no_app, http=Connection, log_config=None), ServerState(), Transport()
    state.default_headers = [(b"date", b"now")]
    connection = Connection(config=config, server_state=state, app_state={})
    connection.connection_made(transport)
    connection.data_received(request)
    connection.connection_lost(None)
    return transport


@pytest.mark.parametrize(
    "request_",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /store/dust HTTP/1.1\r\nno colon\r\n\r\n",
    ],
    ids=["words", "tls", "http/2", "version", "header"],
)
def test_what_is_not_http_gets_a_problem_document(request_: bytes) -> None:
    transport = asyncio.run(answer_to(request_))
    head, _, body = transport.sent.partition(b"\r\n\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert headers["content-type"] == "application/problem+json"
    assert headers["content-length"] == str(len(body))
    assert headers["connection"] == "close"
    assert headers["date"] == "now"
    assert json.loads(body) == {
        "type": "about:blank",
        "title": "Bad request",
        "status": 400,
        "detail": "This is not a valid HTTP request.",
        "code": "bad_request",
    }
    assert transport.closed
