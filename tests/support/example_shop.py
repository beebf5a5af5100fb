"""A shopper in the example shop: its production build, in a headless Chromium, with a real Medusa and a real Dust."""

import os
import re
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
from playwright.sync_api import Browser, Locator, Page, Request, expect

from bridge.development.demo.people import Storefront
from bridge.development.stack.processes import until
from tests.support.axe import axe_script, serious_findings
from tests.support.live_worlds import PATIENCE_SECONDS, SCREENSHOTS, Bridge, World

WIDE, PHONE = (1280, 900), (390, 844)
# A wide window at 200 %.
ZOOMED = (640, 450)
# React 19.2 may hydrate before the browser has parsed all of a streamed page, and then reports a mismatch that is none
# (react#37321, next.js#96371; seen in one of ten first visits). A true mismatch comes back at the next visit.
_HYDRATION = "Minified React error #418; visit https://react.dev/errors/418?args[]=HTML"
PASSWORD = "a-good-password"


class Shopper:
    """One browser of a shopper. Collects the browser's errors and warnings."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.width = (page.viewport_size or {"width": 0})["width"]
        self.complaints: list[str] = []
        self._mismatches: set[str] = set()
        page.on("console", self._console)
        page.on("pageerror", self._error)
        page.on("requestfailed", self._failed)

    def sign_up(self) -> str:
        """Create an account, and return its e-mail address."""
        email = f"shopper-{secrets.token_hex(6)}@example.com"
        self.page.goto("/signup")
        fields = {"First name": "Ada", "Last name": "Holm", "E-mail": email, "Password": PASSWORD}
        for label, value in fields.items():
            self.page.get_by_label(label).fill(value)
        self.page.get_by_role("button", name="Create the account").click()
        expect(self.page).to_have_url(re.compile("/account"))
        return email

    def add(self, handle: str, quantity: int = 1) -> None:
        """Put a product into the cart."""
        self.page.goto(f"/products/{handle}")
        self.page.get_by_label("Quantity").fill(str(quantity))
        self.page.get_by_role("button", name="Add to cart").click()
        expect(self.page.get_by_text("Added to your cart")).to_be_visible()

    def fill_in_checkout(self, email: str | None = None) -> None:
        """Save an address and choose the delivery, as far as they are missing."""
        self.page.goto("/checkout")
        fields = {"E-mail": email, "First name": "Ada", "Last name": "Holm"} if email else {}
        address = {"Street and number": "Quay 1", "Postal code": "1050", "City": "Copenhagen"}
        for label, value in {**fields, **address}.items():
            if value:
                self.page.get_by_label(label).fill(value)
        self.page.get_by_role("button", name="Save the address").click()
        expect(self.page.get_by_text("Address saved")).to_be_visible()
        self.page.get_by_label("Parcel").check()
        expect(self.order_button).to_be_enabled()

    @property
    def order_button(self) -> Any:
        return self.page.get_by_role("button", name="Place the order")

    def place_order(self) -> str:
        """Place the order, and return its id."""
        self.order_button.click()
        expect(self.page).to_have_url(re.compile("/order/order_"))
        return self.page.url.rpartition("/")[2]

    def sees_points(self, points: int) -> None:
        """Fails the test unless the navigation shows this balance soon."""
        expect(self.page.locator("a.dust-nav")).to_contain_text(f"{points:,} point")

    def keep(self, name: str) -> None:
        """A screenshot to look at, and axe's findings that keep people from using the page."""
        self.page.wait_for_load_state("networkidle")
        width = self.page.evaluate("document.documentElement.scrollWidth")
        assert width <= self.width, f"{name} is {width} pixels wide"
        self.page.screenshot(path=SCREENSHOTS / f"shop-{name}-{self.width}.png", full_page=True, animations="disabled")
        assert serious_findings(self.page, axe_script()) == [], name

    def tab_to(self, control: Locator, *, back: bool = False) -> None:
        """Press Tab until this control has the focus. Fails the test if the focus cannot be seen on the way."""
        for _ in range(60):
            self.page.keyboard.press("Shift+Tab" if back else "Tab")
            outline = self.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", self.page.evaluate("document.activeElement.outerHTML")
            if control.evaluate("control => control === document.activeElement"):
                return
        raise AssertionError(f"Tab does not reach {control}")

    @contextmanager
    def second_tab(self) -> Iterator["Shopper"]:
        """Another tab of the same browser, with its own errors."""
        tab = Shopper(self.page.context.new_page(), self.url)
        yield tab
        tab.visit_mismatches_again()
        assert tab.complaints == []
        tab.page.close()

    def forgive_lost_connections(self) -> None:
        """Drop the browser's errors about connections that the test has interrupted."""
        self.complaints = [complaint for complaint in self.complaints if "net::ERR_" not in complaint]

    def visit_mismatches_again(self) -> None:
        """Load each page again whose first HTML was said to differ from what the browser rendered."""
        for url in sorted(self._mismatches):
            self.page.goto(url, wait_until="networkidle")

    def _error(self, error: Any) -> None:
        if str(error).startswith(_HYDRATION) and self.page.url not in self._mismatches:
            self._mismatches.add(self.page.url)
        else:
            self.complaints.append(f"error: {error}")

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _failed(self, request: Request) -> None:
        # A page that is left ends its requests.
        if request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"{request.url}: {request.failure}")


@contextmanager
def shopper_in(browser: Browser, url: str, size: tuple[int, int], *, language: str = "en-GB") -> Iterator[Shopper]:
    """A browser of this size and language. Fails the test at the end if the browser has complained."""
    viewport = {"width": size[0], "height": size[1]}
    # Without transitions: in the middle of one, axe measures colours that nobody reads.
    context = browser.new_context(base_url=url, viewport=viewport, locale=language, reduced_motion="reduce")  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    try:
        shopper = Shopper(context.new_page(), url)
        yield shopper
        shopper.visit_mismatches_again()
        assert shopper.complaints == []
    finally:
        context.close()


@dataclass(frozen=True, kw_only=True)
class Customer:
    """A customer with an account: in the browser, and in Medusa's API."""

    shopper: Shopper
    api: Storefront
    world: World

    def balance(self) -> dict[str, int]:
        return self.api.ask("GET", "/store/dust/balance")

    def holds(self, dust: int) -> bool:
        return until(lambda: self.balance()["held"] == dust, 30)


@contextmanager
def signed_up(shopper: Shopper, world: World) -> Iterator[Customer]:
    """Sign up in the browser, and log in beside it."""
    api = Storefront(world.keys)
    try:
        api.email, api.password = shopper.sign_up(), PASSWORD
        api.log_in()
        api.customer_id = api.ask("GET", "/store/customers/me")["customer"]["id"]
        yield Customer(shopper=shopper, api=api, world=world)
    finally:
        api.close()


def panel(shopper: Shopper) -> Locator:
    return shopper.page.get_by_role("region", name="Pay with points")


def use_points(shopper: Shopper, dust: int) -> None:
    panel(shopper).get_by_label("How many points?").fill(str(dust))
    panel(shopper).get_by_role("button", name=f"Use {dust} points").click()
    expect(panel(shopper).get_by_text(f"{dust} points used")).to_be_visible()


@contextmanager
def hanging(bridge: Bridge) -> Iterator[None]:
    """During the block, Dust accepts connections and does not answer: all its processes are stopped with SIGSTOP."""
    port = int(bridge.url.rpartition(":")[2])
    processes = [child for child in psutil.Process(os.getpid()).children(recursive=True) if _serves(child, port)]
    assert processes
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


def _serves(process: psutil.Process, port: int) -> bool:
    try:
        connections = process.net_connections(kind="tcp")
    except psutil.Error:
        return False
    return any(connection.status == psutil.CONN_LISTEN and connection.laddr.port == port for connection in connections)


def seconds_of(page: Page, path: str) -> float:
    """How long a page takes until everything of it is there."""
    started = time.monotonic()
    page.goto(path, wait_until="load")
    return time.monotonic() - started
