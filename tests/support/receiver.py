"""A shop's own receiver of outgoing webhooks, on a real socket, with the answers that a test sets."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated, Any

from pydantic import Field, SecretStr, TypeAdapter

from bridge.api.webhook_payloads import (
    EarnedWebhook,
    ExpiredWebhook,
    ExpiringWebhook,
    FailedWebhook,
    RedeemedWebhook,
    TestWebhook,
)
from bridge.setting_types import webhook_key
from bridge.webhooks.signature import verify

OUTGOING_WEBHOOK_SECRET = "whsec_bm90aWNlcy1hcmUtc2lnbmVkLXdpdGgtdGhpcw=="

_DOCUMENTED: TypeAdapter[Any] = TypeAdapter(
    Annotated[
        EarnedWebhook | RedeemedWebhook | ExpiringWebhook | ExpiredWebhook | FailedWebhook | TestWebhook,
        Field(discriminator="type"),
    ]
)

Answer = Callable[[dict[str, Any]], tuple[int, dict[str, str], bytes]]


@dataclass
class Receiver:
    """`got` is every call in order, its signature verified. `answer` says by call: status, headers, body."""

    got: list[dict[str, Any]] = field(default_factory=list)
    answer: Answer = lambda _: (204, {}, b"")
    url: str = ""

    @property
    def ids(self) -> list[str]:
        return [received["id"] for received in self.got]

    @property
    def types(self) -> list[str]:
        return [received["type"] for received in self.got]

    def check_payloads(self) -> None:
        """Each call is as the OpenAPI schema says, without further fields. Calls that a test made up are left out."""
        for call in self.got:
            document = {name: call[name] for name in ("type", "timestamp", "data")}
            if document["data"].keys() != {"name"}:
                _DOCUMENTED.validate_json(json.dumps(document), extra="forbid")


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            key = webhook_key(SecretStr(OUTGOING_WEBHOOK_SECRET))
            call = {
                "id": verify(self.headers, body, [key], now=datetime.now(UTC)),
                "path": self.path,
                **json.loads(body),
            }
            receiver.got.append(call)
            status, headers, content = receiver.answer(call)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/dust"
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def status(code: int, body: bytes = b"", **headers: str) -> Answer:
    """Answer every call with this status."""
    return lambda _: (code, {name.replace("_", "-"): value for name, value in headers.items()}, body)
