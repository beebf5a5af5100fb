"""A real Medusa for the whole session, and a listener that stands where the bridge would be."""

import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bridge.demo.install import install_shop
from bridge.demo.people import Merchant, Storefront
from bridge.demo.seed import ShopKeys, seed
from bridge.demo.shop import Shop, running_shop
from bridge.stack.postgres import embedded_postgres
from bridge.stack.processes import free_port, until

PROJECT = Path(__file__).parents[2]
CACHE = PROJECT / ".cache"
WEBHOOK_SECRET = "whsec_c3VwZXItc2VjcmV0LWR1c3Qta2V5LTAxMjM="
JWT_SECRET = "a-jwt-secret-of-the-live-tests-only"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A request as it came over the wire; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


class StandIn:
    """Answers like the bridge's door and remembers what came. It can be away, and come back on the same port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.deliveries: list[Delivery] = []
        self.status = 202
        self._may_answer = threading.Event()
        self._may_answer.set()
        self._server: ThreadingHTTPServer | None = None

    def open(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @contextmanager
    def away(self) -> Iterator[None]:
        """For the length of the block, connections are refused."""
        self.close()
        try:
            yield
        finally:
            self.open()

    @contextmanager
    def answering(self, status: int) -> Iterator[None]:
        """For the length of the block, every request is answered with this status."""
        before, self.status = self.status, status
        try:
            yield
        finally:
            self.status = before

    @contextmanager
    def silent(self) -> Iterator[None]:
        """For the length of the block, requests are taken and not answered."""
        self._may_answer.clear()
        try:
            yield
        finally:
            self._may_answer.set()

    def wait_for(self, wanted: Callable[[Delivery], bool], seconds: float = 30) -> Delivery:
        """The first delivery of this kind, waiting for it. Fails the test when it does not come."""
        if not until(lambda: any(map(wanted, list(self.deliveries))), seconds):
            pytest.fail(f"no such delivery within {seconds} s, only {[d.body[:120] for d in self.deliveries[-10:]]}")
        return next(delivery for delivery in self.deliveries if wanted(delivery))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                if not stand_in._may_answer.is_set():
                    stand_in._may_answer.wait()
                    return
                status = stand_in.status
                if status == 202:
                    stand_in.deliveries.append(Delivery(path=self.path, headers=headers, body=body))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet: pytest shows what failed."""

        return Handler


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    # Below the project and not in pytest's temporary folder, which is closed to the user that Postgres runs as.
    folder = CACHE / f"live-{uuid.uuid4().hex[:8]}"
    try:
        with embedded_postgres(folder, settings={"fsync": "off"}) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def stand_in() -> Iterator[StandIn]:
    listener = StandIn()
    listener.open()
    yield listener
    listener.close()


@pytest.fixture(scope="session")
def shop(database_url: str, stand_in: StandIn) -> Iterator[Shop]:
    """One Medusa, its plugin sending to the stand-in, for all tests: each makes customers and orders of its own."""
    server = install_shop(CACHE, PROJECT / "medusa-plugin", print)
    with running_shop(
        server,
        database_url=database_url,
        dust_url=stand_in.url,
        webhook_secret=WEBHOOK_SECRET,
        jwt_secret=JWT_SECRET,
        admin_password="only-for-live-tests",
        log=CACHE / "live-medusa.log",
        report=print,
    ) as running:
        yield running


@pytest.fixture(scope="session")
def keys(shop: Shop) -> ShopKeys:
    return seed(shop)


@pytest.fixture
def storefront(keys: ShopKeys) -> Iterator[Storefront]:
    """A shopper with an account, signed in."""
    shopper = Storefront(keys)
    shopper.register()
    yield shopper
    shopper.close()


@pytest.fixture
def merchant(keys: ShopKeys) -> Iterator[Merchant]:
    person = Merchant(keys)
    yield person
    person.close()
