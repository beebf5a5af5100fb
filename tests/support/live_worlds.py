"""Real Medusas with a real Dust, and one whose Dust is a stand-in, for the live tests."""

import math
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from rich.console import Console

from bridge.development.demo.people import Json, Merchant, Storefront, answer
from bridge.development.demo.seed import DEMO_SHOP, HOODIE, MUG, SHIRT, SHORTS, Assortment, Item, Market, ShopKeys, seed
from bridge.development.demo.shop import Shop, running_shop
from bridge.development.stack.postgres import create_database
from bridge.development.stack.processes import until
from bridge.development.stack.redis import embedded_redis
from bridge.development.stack.up import StackUrls, running_stack
from bridge.settings import Settings
from tests.support.brokers import broker_for_a_stack
from tests.support.built_shop import built_shop, live_log
from tests.support.ports import reserved_port
from tests.support.source_files import ROOT

WEBHOOK_SECRET = "whsec_c3VwZXItc2VjcmV0LWR1c3Qta2V5LTAxMjM="
JWT_SECRET = "a-jwt-secret-of-the-live-tests-only"
ADMIN_TOKEN = "an-admin-token-of-the-live-tests-only"
ADMIN_PASSWORD = "only-for-live-tests"
ALERT_EMAIL = "operator@example.com"
# Only a defect or a very slow machine takes this long.
PATIENCE_SECONDS = 60
MUG_DUST = 300
# Medusa's figures are binary floats, and the shares of a discount are not finite decimals.
NOISE = Decimal("1e-9")
SCREENSHOTS = ROOT / "tests" / "live" / "screenshots"
LAN_HOST = "shop.lan"
# A browser that calls only the page's own server, and runs as root.
QUIET_CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A name for this machine that is no secure context over plain HTTP, as another machine of the LAN would be.
    f"--host-resolver-rules=MAP {LAN_HOST} 127.0.0.1",
]


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A request as it came over the wire; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


class StandIn:
    """Answers like the bridge's webhook endpoint and records requests. It can stop and return on the same port."""

    def __init__(self) -> None:
        self.port = reserved_port()
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
        """Inside the block, requests are accepted and not answered."""
        self._may_answer.clear()
        try:
            yield
        finally:
            self._may_answer.set()

    def wait_for(self, wanted: Callable[[Delivery], bool], seconds: float = 30) -> Delivery:
        """Wait for a delivery of this kind, and return the first. Fails the test after a timeout."""
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

            def do_GET(self) -> None:
                if not stand_in._may_answer.is_set():
                    stand_in._may_answer.wait()
                    return
                self.send_response(200 if stand_in.status == 202 else stand_in.status)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet: pytest shows what failed."""

        return Handler


class Bridge:
    """A real Dust with all its processes on its own port. It can be stopped and started on the same port."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self.url = f"http://127.0.0.1:{settings.port}"
        self.database = str(settings.database_url)
        self._settings = settings
        self._log = log
        self._stack = ExitStack()
        self._urls: StackUrls | None = None

    def open(self) -> None:
        log = self._stack.enter_context(self._log.open("a"))
        console = Console(file=log, force_terminal=False)
        self._urls = self._stack.enter_context(running_stack(self._settings, console=console))

    def close(self) -> None:
        self._stack.close()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Inside the block, none of its processes runs; its database stays."""
        self.close()
        try:
            yield
        finally:
            self.open()

    @contextmanager
    def with_settings(self, **settings: Any) -> Iterator[None]:
        """For the length of the block, its processes run with these settings too."""
        before = self._settings
        self.close()
        self._settings = before.model_copy(update=settings)
        try:
            self.open()
            yield
        finally:
            self.close()
            self._settings = before
            self.open()

    def ask(self, method: str, path: str, body: Json | None = None, **headers: str) -> Json:
        """Call its API as the service. Raises `Refused`."""
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", **headers}
        return answer(
            httpx.request(
                method, self.url + path, json=body, headers=headers, timeout=2 * PATIENCE_SECONDS, trust_env=False
            )
        )

    def give(self, customer_id: str, dust: int) -> None:
        """Credit dust by hand."""
        path = f"/admin/dust/customers/{customer_id}/adjustments"
        self.ask("POST", path, {"amount": dust, "reason": "a gift"}, **{"Idempotency-Key": uuid.uuid4().hex})

    def balance(self, customer_id: str) -> int:
        return int(self.ask("GET", f"/admin/dust/customers/{customer_id}")["balance"])

    def wait_for_balance(self, customer_id: str, dust: int, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait for this balance. Fails the test after a timeout."""
        assert until(lambda: self.balance(customer_id) == dust, seconds), self.balance(customer_id)

    def audit(self) -> None:
        """Run `dust audit`. Fails the test with its output if it finds a violation."""
        assert self._urls
        environment = {"PATH": os.environ["PATH"], **self._urls.environment}
        command = [sys.executable, "-m", "bridge.cli", "audit"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=3 * PATIENCE_SECONDS)
        assert done.returncode == 0, done.stdout + done.stderr


@dataclass(frozen=True, kw_only=True)
class World:
    """A shop and the Dust that belongs to it, both real."""

    shop: Shop
    keys: ShopKeys
    bridge: Bridge

    def earns(self, *, off: Decimal | int | str = 0, **quantities: int) -> int:
        """What these quantities of each product earn, at one point for a euro without tax.

        `off` is a discount in euros with tax, which Medusa shares out by their prices.
        """
        products = [(self.keys.products[name.upper()], quantity) for name, quantity in quantities.items()]
        gross = sum((product.gross(quantity) for product, quantity in products), Decimal(0))
        net = sum((product.net(quantity) for product, quantity in products), Decimal(0))
        return math.floor(net * (1 - Decimal(off) / gross) + NOISE) if gross else 0

    @contextmanager
    def shopper(self) -> Iterator[Storefront]:
        """A customer with an account, signed in."""
        person = Storefront(self.keys)
        try:
            person.register()
            yield person
        finally:
            person.close()

    def redeem(self, shopper: Storefront, requested: Json) -> Json:
        """Redeem as this shopper, through Medusa, and wait until the codes can be used."""
        path, key = "/store/dust/redemptions", uuid.uuid4().hex
        requested_redemption = shopper.ask("POST", path, requested, **{"Idempotency-Key": key})["redemption"]
        redemption = dict(shopper.ask("GET", f"{path}/{requested_redemption['id']}?wait=30")["redemption"])
        assert redemption["state"] == "active", redemption
        return redemption


# A shop whose prices include 20 % tax; two products have rates of their own, and two markets have other currencies.
GROSS_SHOP = Assortment(
    markets=(
        Market(name="Austria", currency_code="eur", country_code="at", tax_percent=20, prices_include_tax=True),
        Market(
            name="Japan",
            currency_code="jpy",
            country_code="jp",
            tax_percent=10,
            prices_include_tax=True,
            price_factor=150,
        ),
        Market(
            name="Hungary",
            currency_code="huf",
            country_code="hu",
            tax_percent=27,
            prices_include_tax=True,
            price_factor=400,
        ),
    ),
    items=(
        SHIRT,
        replace(SHORTS, tax_percent=7),
        HOODIE,
        replace(MUG, tax_percent=23),
        Item(sku="CHEESE", title="Cheese, one kilogram", price=24),
        Item(sku="GIFTCARD", title="Gift card", price=50, gift_card=True),
    ),
)


@contextmanager
def real_world(
    database_url: str, folder: Path, name: str, *, assortment: Assortment = DEMO_SHOP, redis: bool = False
) -> Iterator[World]:
    """A Medusa, with everything in memory or in a Redis, and the Dust beside it."""
    port = reserved_port()
    server = built_shop()
    with ExitStack() as stack:
        shop = stack.enter_context(
            running_shop(
                server,
                database_url=database_url,
                database_name=f"medusa_{name}",
                dust_url=f"http://127.0.0.1:{port}",
                webhook_secret=WEBHOOK_SECRET,
                jwt_secret=JWT_SECRET,
                admin_token=ADMIN_TOKEN,
                admin_password=ADMIN_PASSWORD,
                log=live_log(f"medusa-{name}"),
                report=print,
                redis_url=stack.enter_context(embedded_redis(folder / "redis-of-medusa")) if redis else None,
                dashboard=True,
            )
        )
        keys = seed(shop, assortment)
        settings = Settings(
            data_dir=folder / f"dust-{name}",
            database_url=create_database(database_url, f"dust_{name}"),
            broker_url=stack.enter_context(broker_for_a_stack()),
            port=port,
            flower_port=0,
            medusa_url=keys.url,
            medusa_api_key=SecretStr(keys.api_key),
            medusa_publishable_key=keys.publishable_key,
            webhook_secrets=WEBHOOK_SECRET,
            jwt_secret=SecretStr(JWT_SECRET),
            admin_token=SecretStr(ADMIN_TOKEN),
            retry_attempts=1,
            # For a busy machine.
            medusa_timeout_seconds=30,
            # The poll must not find what an event should report.
            reconcile_seconds=3600,
        )
        bridge = Bridge(settings, live_log(f"dust-{name}"))
        stack.callback(bridge.close)
        bridge.open()
        yield World(shop=shop, keys=keys, bridge=bridge)


@contextmanager
def region_takes(merchant: Merchant, keys: ShopKeys, provider: str) -> Iterator[None]:
    """Inside the block the euro region also takes payments of this provider."""
    region = f"/admin/regions/{keys.region_ids['eur']}"
    merchant.post(region, {"payment_providers": ["pp_system_default", provider]})
    try:
        yield
    finally:
        merchant.post(region, {"payment_providers": ["pp_system_default"]})


# For tests that are to pass in both shops: `pytestmark = [pytest.mark.live, in_both_shops]`.
in_both_shops = pytest.mark.parametrize("world", ["net", "gross"], indirect=True, scope="module")
