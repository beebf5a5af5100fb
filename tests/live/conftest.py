"""Fixtures of the live tests: a real Medusa with a stand-in for Dust, and real Medusas with a real Dust."""

import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bridge.development.demo.people import Merchant, Storefront
from bridge.development.demo.seed import (
    SeededProduct,
    ShopKeys,
    seed,
)
from bridge.development.demo.shop import Shop, running_shop
from bridge.development.demo.storefront import build_storefront, running_storefront
from bridge.development.stack.postgres import embedded_postgres
from bridge.development.stack.processes import until
from tests.support.built_shop import CACHE, PROJECT, built_shop, live_log
from tests.support.live_worlds import (
    ADMIN_PASSWORD,
    ADMIN_TOKEN,
    ALERT_EMAIL,
    GROSS_SHOP,
    JWT_SECRET,
    MUG_DUST,
    PATIENCE_SECONDS,
    QUIET_CHROMIUM,
    SCREENSHOTS,
    WEBHOOK_SECRET,
    StandIn,
    World,
    real_world,
)
from tests.support.ports import reserved_port


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out the tests for which CI has no time on a slow machine. pytest lists them at the end."""
    begin_until = os.environ.get("LIVE_TESTS_BEGIN_UNTIL")
    if begin_until and time.time() > float(begin_until):
        pytest.skip("no time left for it in this run")


@pytest.fixture(scope="session", autouse=True)
def _shop_options() -> None:
    """All shops send alerts by e-mail, and have payment providers of the tests beside Medusa's own."""
    os.environ["SHOP_PAYMENT_PROVIDER"] = str(Path(__file__).parent / "payment_providers.js")
    os.environ["SHOP_ALERT_EMAIL"] = ALERT_EMAIL


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """For servers' files: below the project, as pytest's temporary folder is closed to the user that they run as."""
    folder = CACHE / f"live-{uuid.uuid4().hex[:8]}"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def net_world(database_url: str, folder: Path) -> Iterator[World]:
    """A shop whose prices are without tax, with Medusa's default event bus, and its Dust."""
    with real_world(database_url, folder, "local") as world:
        yield world


@pytest.fixture(scope="session")
def gross_world(database_url: str, folder: Path) -> Iterator[World]:
    """A shop whose prices include tax, with Medusa's default event bus, and its Dust."""
    with real_world(database_url, folder, "gross", assortment=GROSS_SHOP) as world:
        yield world


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest) -> World:
    """The shop whose prices are without tax, unless a test asks for the other one or for both."""
    name = getattr(request, "param", "net")
    return cast(World, request.getfixturevalue(f"{name}_world"))


@pytest.fixture(scope="module")
def mug(world: World) -> Iterator[SeededProduct]:
    """The mug, which only points can buy."""
    mug, merchant = world.keys.mug, Merchant(world.keys)
    path = f"/admin/dust/products/{mug.id}"

    def dust_only_in_medusa() -> bool:
        return bool((merchant.get(f"/admin/products/{mug.id}")["product"]["metadata"] or {}).get("dust_only"))

    world.bridge.ask("PUT", path, {"dust_only": True, "dust_price": MUG_DUST})
    assert until(dust_only_in_medusa, 30)
    yield mug
    world.bridge.ask("DELETE", path)
    assert until(lambda: not dust_only_in_medusa(), 30)
    merchant.close()


@pytest.fixture(scope="session")
def redis_world(database_url: str, folder: Path) -> Iterator[World]:
    """A shop set up as for production, with everything in a Redis, and its Dust."""
    with real_world(database_url, folder, "redis", redis=True) as world:
        yield world


@pytest.fixture(scope="session")
def database_url(folder: Path) -> Iterator[str]:
    with embedded_postgres(folder, settings={"fsync": "off"}) as url:
        yield url


@pytest.fixture(scope="session")
def stand_in() -> Iterator[StandIn]:
    listener = StandIn()
    listener.open()
    yield listener
    listener.close()


@pytest.fixture(scope="session")
def shop(database_url: str, stand_in: StandIn) -> Iterator[Shop]:
    """One Medusa for all tests, whose plugin sends to the stand-in. Each test creates its own customers and orders."""
    server = built_shop()
    with running_shop(
        server,
        database_url=database_url,
        dust_url=stand_in.url,
        webhook_secret=WEBHOOK_SECRET,
        jwt_secret=JWT_SECRET,
        admin_token=ADMIN_TOKEN,
        admin_password=ADMIN_PASSWORD,
        log=live_log("medusa"),
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; its screenshots are kept, to be looked at."""
    SCREENSHOTS.mkdir(exist_ok=True)
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    expect.set_options(timeout=PATIENCE_SECONDS * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=QUIET_CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(world: World) -> Iterator[str]:
    """The URL of the example shop."""
    folder = build_storefront(CACHE, PROJECT, print)
    log = live_log("storefront")
    with running_storefront(folder, world.keys, port=reserved_port(), log=log, report=print) as url:
        yield url


@pytest.fixture
def dashboard(browser: Browser, world: World) -> Iterator[Page]:
    """Medusa's dashboard, logged in as the merchant. The browser may call only Medusa, and not Dust."""
    context = browser.new_context(
        base_url=world.shop.url, viewport={"width": 1440, "height": 1000}, locale="en-GB", timezone_id="UTC"
    )
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    page = context.new_page()
    # The customers' page loads pictures of flags from a public server.
    context.route(lambda url: not url.startswith(world.shop.url), lambda route: route.abort())
    asked_of_dust: list[str] = []
    broken: list[str] = []
    page.on("request", lambda request: asked_of_dust.extend([request.url] * request.url.startswith(world.bridge.url)))
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.goto("/app/login")
    page.locator('input[name="email"]').fill(world.shop.admin_email)
    page.locator('input[name="password"]').fill(world.shop.admin_password)
    page.get_by_role("button", name="Continue with Email").click()
    expect(page).to_have_url(re.compile("/app/orders"))
    yield page
    context.close()
    assert broken == []
    assert asked_of_dust == []
