"""A merchant in Medusa's real dashboard, in a headless Chromium, with a real Dust behind the plugin's routes."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from bridge.development.stack.processes import until
from bridge.ids import new_id
from tests.support.deliveries import deliver
from tests.support.live_worlds import WEBHOOK_SECRET, World, keep
from tests.support.orders import event

pytestmark = pytest.mark.live


def widget(page: Page) -> Locator:
    """The box with the heading "Dust"."""
    heading = page.get_by_role("heading", name="Dust", exact=True)
    return page.locator("div.shadow-elevation-card-rest").filter(has=heading)


@pytest.fixture
def page(dashboard: Page) -> Page:
    return dashboard


def test_a_merchant_sets_a_dust_price(page: Page, world: World) -> None:
    product = world.keys.shorts
    page.goto(f"/app/products/{product.id}")
    box = widget(page)
    price, dust_only, save = (
        box.get_by_label("Price in dust"),
        box.get_by_label("For dust only"),
        box.get_by_role("button", name="Save"),
    )

    dust_only.click()
    save.click()
    expect(box.get_by_text("a product that only dust can buy needs a price in dust")).to_be_visible()
    price.fill("lots")
    save.click()
    expect(box.get_by_text("Please enter a whole number")).to_be_visible()
    keep(page, "product-wrong")
    price.fill("250")
    dust_only.click()
    save.click()

    expect(box.get_by_text("Dust or money")).to_be_visible()
    settings = world.bridge.ask("GET", f"/admin/dust/products/{product.id}")
    assert (settings["dust_only"], settings["dust_price"]) == (False, 250)
    assert settings["updated_by"].startswith("user_")
    keep(page, "product")

    price.fill("")
    save.click()
    expect(box.get_by_text("Dust or money")).to_have_count(0)
    left = world.bridge.ask("GET", "/admin/dust/products")["products"]
    assert product.id not in {each["product_id"] for each in left}


def test_a_merchant_adjusts_a_balance(page: Page, world: World) -> None:
    with world.shopper() as shopper:
        shopper.buy((world.keys.shirt, 2))
        world.bridge.wait_for_balance(shopper.customer_id, 20)
        page.goto(f"/app/customers/{shopper.customer_id}")
        box = widget(page)

        box.get_by_role("button", name="Adjust").click()
        drawer = page.get_by_role("dialog")
        drawer.get_by_label("Amount").fill("a few")
        drawer.get_by_role("button", name="Book").click()
        expect(drawer.get_by_text("Please enter a whole number")).to_be_visible()
        keep(page, "customer-wrong")
        drawer.get_by_label("Amount").fill("50")
        drawer.get_by_label("Reason").fill("A letter that made our day")
        drawer.get_by_role("button", name="Book").click()

        expect(drawer).to_have_count(0)
        expect(box.get_by_role("cell", name="A letter that made our day")).to_be_visible()
        expect(box.get_by_role("cell", name="+50")).to_be_visible()
        box.get_by_role("button", name="Explain").click()
        expect(drawer.get_by_text("rules version").first).to_be_visible()
        keep(page, "customer-explained")
        page.keyboard.press("Escape")
        expect(drawer).to_have_count(0)
        assert world.bridge.balance(shopper.customer_id) == 70
        keep(page, "customer")


def test_a_merchant_changes_an_earning_rate(page: Page, world: World) -> None:
    before = world.bridge.ask("GET", "/admin/dust/programme")
    page.goto("/app/dust?tab=programme")
    rate = page.get_by_label("EUR").first
    save = page.get_by_role("button", name="Save")
    try:
        rate.fill("-2")
        page.get_by_label("Least dust at a time").fill("10")
        page.get_by_label("Most dust at a time").fill("5")
        save.click()
        expect(page.get_by_text("Must be more than 0")).to_be_visible()
        expect(page.get_by_text("must not be below the least dust at a time")).to_be_visible()
        expect(page.get_by_text("Not saved: 2 fields are wrong")).to_be_visible()
        keep(page, "programme-wrong")
        rate.fill("2.5")
        page.get_by_label("Most dust at a time").fill("")
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_label("Name").fill("Double week")
        save.click()

        expect(page.get_by_text(f"Version {before['version'] + 1}, by user_")).to_be_visible()
        rules = world.bridge.ask("GET", "/admin/dust/programme")
        assert rules["earn"]["rates"]["eur"] == "2.5"
        assert [multiplier["name"] for multiplier in rules["earn"]["multipliers"]] == ["Double week"]
        assert (rules["redeem"]["min_dust"], rules["redeem"]["max_dust"]) == (10, None)
        keep(page, "programme")
    finally:
        world.bridge.ask("PUT", "/admin/dust/programme", before)


@pytest.fixture
def failed_order(world: World) -> Iterator[tuple[str, int]]:
    """An order whose event failed, as Medusa was away when Dust asked for it: the customer, and the dust to come."""
    with world.shopper() as shopper:
        with world.shop.losing_events() as lost:
            order_id = shopper.buy((world.keys.hoodie, 1))
            assert until(lambda: lost(order_id), 30)
            world.shop.stop()
        event_id = new_id("msg")
        with httpx.Client(base_url=world.bridge.url, trust_env=False) as client:
            body = event("order.placed", {"id": order_id})
            deliver(client, body, event_id=event_id, secret=WEBHOOK_SECRET).raise_for_status()

        def failed() -> bool:
            return bool(world.bridge.ask("GET", f"/admin/dust/events/{event_id}")["state"] == "failed")

        assert until(failed, 60)
        world.shop.start()
        yield shopper.customer_id, 40


def test_a_merchant_retries_a_failed_event(failed_order: tuple[str, int], page: Page, world: World) -> None:
    customer_id, dust = failed_order
    page.get_by_role("link", name="Dust").click()
    expect(page.get_by_text("1 failed")).to_be_visible()
    page.get_by_role("tab", name="Events").click()
    expect(page.get_by_text("retry it once that is fixed")).to_be_visible()
    keep(page, "events-failed")

    page.get_by_role("button", name="Retry").click()

    expect(page.get_by_text("No event is failed.")).to_be_visible()
    world.bridge.wait_for_balance(customer_id, dust)
    keep(page, "events")


def test_a_merchant_sees_redemptions_and_what_is_on_its_way_while_dust_is_away(page: Page, world: World) -> None:
    with world.shopper() as shopper:
        world.bridge.give(shopper.customer_id, 500)
        world.redeem(shopper, {"dust": 300, "currency_code": "eur"})
        page.goto("/app/dust")
        expect(page.get_by_role("cell", name="3.00 EUR off").first).to_be_visible()
        keep(page, "redemptions")

        with world.bridge.away():
            shopper.buy((world.keys.shirt, 1))
            page.goto("/app/dust?tab=deliveries")
            expect(page.get_by_text("Dust does not answer right now.").first).to_be_visible()
            expect(page.get_by_text("order.placed").first).to_be_visible()
            expect(page.get_by_text("ECONNREFUSED").first).to_be_visible()
            keep(page, "deliveries-waiting")
        page.get_by_role("button", name="Send now").first.click()
        expect(page.get_by_text("Everything is delivered.")).to_be_visible(timeout=90_000)
        world.bridge.wait_for_balance(shopper.customer_id, 510)
