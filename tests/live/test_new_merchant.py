"""A new merchant, with the dashboard and the tutorial for merchants: docs/tutorials/merchant.md."""

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from playwright.sync_api import Locator, Page, expect

from bridge.clock import now
from bridge.development.demo.people import Merchant
from tests.support.dashboard import fill_moment, keep_checked
from tests.support.live_worlds import World

pytestmark = pytest.mark.live


@pytest.fixture
def page(dashboard: Page, world: World) -> Iterator[Page]:
    """The page of the rules. Afterwards the rules are as before."""
    before = world.bridge.ask("GET", "/admin/dust/programme")
    dashboard.goto("/app/dust/programme")
    yield dashboard
    world.bridge.ask("PUT", "/admin/dust/programme", before)


def test_a_merchant_sets_rules_reads_why_a_customer_has_340_and_undoes_the_rules(page: Page, world: World) -> None:
    before = world.bridge.ask("GET", "/admin/dust/programme")
    with closing(Merchant(world.keys)) as merchant:
        category = merchant.post("/admin/product-categories", {"name": "Shirts"})["product_category"]["id"]
        merchant.post(f"/admin/product-categories/{category}/products", {"add": [world.keys.shirt.id]})
        set_the_rules(page)

        with world.shopper() as shopper:
            shopper.buy((world.keys.shirt, 15))
            shopper.buy((world.keys.hoodie, 1))
            world.bridge.wait_for_balance(shopper.customer_id, 340)
            world.redeem(shopper, {"dust": 100, "currency_code": "eur"})
            page.goto("/app/dust")
            page.get_by_role("row").nth(1).get_by_role("link", name="Ada Holm").click()
            drawer = open_explanation(page, "Explain")
            expect(drawer.get_by_text("The balance is 340 points, of which 240 may be spent.")).to_be_visible()
            expect(drawer.get_by_text("100 points on hold for 1.00 EUR off.")).to_be_visible()
            expect(drawer.get_by_text("multiplied by Double week")).to_be_visible()
            assert "dred_" not in drawer.inner_text()
            keep_checked(page, "tutorial-explained")
            in_german(page)
            drawer = open_explanation(page, "Erklären")
            # Medusa before 2.21 does not name the dashboard's language: amounts are in the browser's.
            expect(drawer.get_by_text(re.compile(r"100 Punkte reserviert für 1[.,]00 EUR Rabatt\."))).to_be_visible()
            expect(drawer.get_by_text("40 Punkte gesammelt mit Bestellung #")).to_be_visible()
            expect(drawer.get_by_text("vervielfacht durch Double week")).to_be_visible()
            keep_checked(page, "tutorial-explained-german")
            page.evaluate("localStorage.removeItem('lng')")
            page.context.clear_cookies(name="lng")

        page.goto("/app/dust/programme")
        page.get_by_role("tab", name="History").click()
        name = f"version {before['version']}" if before["version"] else "the defaults"
        page.get_by_role("button", name=f"Restore {name}", exact=True).click()
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_text(f"Version {before['version'] + 2}, by")).to_be_visible()
        restored = world.bridge.ask("GET", "/admin/dust/programme")
        assert [restored[part] for part in ("earn", "redeem", "tiers")] == [
            before[part] for part in ("earn", "redeem", "tiers")
        ]
        merchant.delete(f"/admin/product-categories/{category}")


def set_the_rules(page: Page) -> None:
    """Two tiers, double points on a category for a week from now, and a free-shipping reward."""
    for number, (name, threshold, factor) in enumerate((("Silver", "500", "1.5"), ("Gold", "2000", "2")), 1):
        page.get_by_role("button", name="Add a tier").click()
        tier = page.get_by_role("group", name=f"Tier {number}", exact=True)
        tier.get_by_label("Name").fill(name)
        tier.get_by_label("Threshold").fill(threshold)
        tier.get_by_label("Factor for points").fill(factor)
    page.get_by_role("button", name="Add a multiplier").click()
    week = page.get_by_role("group", name="Multiplier 1", exact=True)
    week.get_by_label("Name").fill("Double week")
    start = now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    fill_moment(week, "From", start)
    fill_moment(week, "Until", start + timedelta(days=7))
    week.get_by_role("button", name="Categories").click()
    page.get_by_role("dialog").get_by_label("Search").fill("shirt")
    page.get_by_role("checkbox", name="Shirts").click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Add a reward").click()
    reward = page.get_by_role("group", name="Reward 1", exact=True)
    reward.get_by_label("Name").fill("Free shipping")
    reward.get_by_label("Kind").click()
    page.get_by_role("option", name="Free shipping").click()
    reward.get_by_label("Price in points").fill("300")
    keep_checked(page, "tutorial-rules")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("of the rules is in force").first).to_be_visible()


def open_explanation(page: Page, button: str) -> Locator:
    page.get_by_role("button", name=button, exact=True).first.click()
    return page.get_by_role("dialog")


def in_german(page: Page) -> None:
    """The same page in German."""
    page.evaluate("localStorage.setItem('lng', 'de'); document.cookie = 'lng=de; path=/'")
    page.reload()
