"""The rules in Medusa's real dashboard, in a headless Chromium, with a real Dust behind the plugin's routes."""

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from bridge.clock import now
from bridge.development.demo.people import Merchant
from tests.support.axe import axe_script, serious_findings
from tests.support.dashboard import fill_moment, keep, keep_checked
from tests.support.live_worlds import World

pytestmark = pytest.mark.live


@pytest.fixture
def page(dashboard: Page, world: World) -> Iterator[Page]:
    """The page of the rules. Afterwards the rules are as before."""
    before = world.bridge.ask("GET", "/admin/dust/programme")
    dashboard.goto("/app/dust/programme")
    yield dashboard
    world.bridge.ask("PUT", "/admin/dust/programme", before)


def test_a_merchant_changes_an_earning_rate(page: Page, world: World) -> None:
    before = world.bridge.ask("GET", "/admin/dust/programme")
    rate = page.get_by_label("EUR", exact=True).first
    save = page.get_by_role("button", name="Save", exact=True)
    expect(page.get_by_text("An order of 50.00 EUR earns 50 points.").first).to_be_visible()
    keep(page, "programme")
    rate.fill("-2")
    page.get_by_label("Minimum points at a time").fill("10")
    page.get_by_label("Maximum points at a time").fill("5")
    save.click()
    expect(page.get_by_text("Must be more than 0")).to_be_visible()
    expect(page.get_by_text("must not be below the minimum points at a time")).to_be_visible()
    expect(page.get_by_text("Not saved: 2 fields are wrong")).to_be_visible()
    keep(page, "programme-wrong")
    rate.fill("2.5")
    expect(page.get_by_text("Must be more than 0")).to_have_count(0)
    expect(page.get_by_text("An order of 50.00 EUR earns 125 points.").first).to_be_visible()
    page.get_by_label("Maximum points at a time").fill("")
    page.get_by_role("button", name="Add a multiplier").click()
    page.get_by_role("group", name="Multiplier 1").get_by_label("Name").fill("Double week")
    save.click()

    expect(page.get_by_text(f"Version {before['version'] + 1}, by {world.shop.admin_email}")).to_be_visible()
    rules = world.bridge.ask("GET", "/admin/dust/programme")
    assert rules["earn"]["rates"]["eur"] == "2.5"
    assert [multiplier["name"] for multiplier in rules["earn"]["multipliers"]] == ["Double week"]
    assert (rules["redeem"]["min_dust"], rules["redeem"]["max_dust"]) == (10, None)
    keep(page, "programme-saved")


def test_two_editors_of_the_rules_do_not_overwrite_each_other(page: Page, world: World) -> None:
    before = world.bridge.ask("GET", "/admin/dust/programme")
    page.get_by_label("Minutes to use a code").fill("45")
    theirs = world.bridge.ask("PUT", "/admin/dust/programme", before | {"bonuses": {**before["bonuses"], "signup": 7}})
    save = page.get_by_role("button", name="Save", exact=True)
    save.click()
    expect(page.get_by_text(f"version {theirs['version']} was saved meanwhile")).to_be_visible()
    assert world.bridge.ask("GET", "/admin/dust/programme")["version"] == theirs["version"]
    page.get_by_role("button", name="Compare").click()
    row = page.get_by_role("row").filter(has_text="Minutes to use a code")
    expect(row.get_by_role("cell").nth(1)).to_have_text(str(before["redeem"]["code_ttl_minutes"]))
    expect(row.get_by_role("cell").nth(2)).to_have_text("45")
    expect(page.get_by_role("row").filter(has_text="Points for a new account")).to_be_visible()
    keep(page, "programme-conflict")

    page.get_by_role("link", name="Members").click()
    question = page.get_by_role("alertdialog")
    expect(question.get_by_text("Leave without saving?")).to_be_visible()
    keep(page, "programme-unsaved")
    question.get_by_role("button", name="Stay").click()
    expect(page.get_by_label("Minutes to use a code")).to_have_value("45")

    page.get_by_role("button", name=f"load version {theirs['version']}").click()
    expect(page.get_by_label("Points for a new account")).to_have_value("7")
    expect(save).to_be_disabled()
    page.get_by_label("Minutes to use a code").fill("50")
    save.click()
    expect(page.get_by_text(f"Version {theirs['version'] + 1}, by {world.shop.admin_email}")).to_be_visible()
    rules = world.bridge.ask("GET", "/admin/dust/programme")
    assert (rules["bonuses"]["signup"], rules["redeem"]["code_ttl_minutes"]) == (7, 50)


def test_a_merchant_sets_tiers_a_double_week_and_free_shipping(page: Page, world: World) -> None:
    start = now().replace(hour=9, minute=0, second=0, microsecond=0) + timedelta(days=7)
    with closing(Merchant(world.keys)) as merchant:
        category = merchant.post("/admin/product-categories", {"name": "Knitwear"})["product_category"]["id"]
        for number, (name, threshold, factor) in enumerate((("Silver", "500", "1.5"), ("Gold", "2000", "2")), 1):
            page.get_by_role("button", name="Add a tier").click()
            tier = page.get_by_role("group", name=f"Tier {number}", exact=True)
            tier.get_by_label("Name").fill(name)
            tier.get_by_label("Threshold").fill(threshold)
            tier.get_by_label("Factor for points").fill(factor)
        tier.get_by_label("Benefits").fill("Free returns\nA birthday present")
        expect(tier.get_by_text("An order of 50.00 EUR earns 100 points.")).to_be_visible()

        page.get_by_role("button", name="Add a multiplier").click()
        week = page.get_by_role("group", name="Multiplier 1", exact=True)
        week.get_by_label("Name").fill("Double week")
        fill_moment(week, "From", start)
        fill_moment(week, "Until", start + timedelta(days=7))
        week.get_by_role("button", name="Categories").click()
        page.get_by_role("dialog").get_by_label("Search").fill("knit")
        page.get_by_role("checkbox", name="Knitwear").click()
        page.keyboard.press("Escape")
        expect(week.get_by_text("Knitwear")).to_be_visible()

        page.get_by_role("button", name="Add a reward").click()
        reward = page.get_by_role("group", name="Reward 1", exact=True)
        reward.get_by_label("Name").fill("Free shipping")
        page.keyboard.press("Tab")
        expect(reward.get_by_label("Id")).to_have_value("free-shipping")
        reward.get_by_label("Kind").click()
        page.get_by_role("option", name="Free shipping").click()
        reward.get_by_label("Price in points").fill("300")
        expect(reward.get_by_text("300 points are worth 3.00 EUR.")).to_be_visible()
        expect(reward.get_by_label("Percent off")).to_have_count(0)
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_text("of the rules is in force").first).to_be_visible()
        keep_whole(page, "programme-tiers")
        assert serious_findings(page, axe_script(), within="main") == []

        rules = world.bridge.ask("GET", "/admin/dust/programme")
        assert rules["tiers"]["levels"] == [
            {"name": "Silver", "from": "500", "factor": "1.5", "benefits": []},
            {"name": "Gold", "from": "2000", "factor": "2", "benefits": ["Free returns", "A birthday present"]},
        ]
        (multiplier,) = rules["earn"]["multipliers"]
        assert (multiplier["name"], multiplier["factor"], multiplier["category_ids"]) == (
            "Double week",
            "2",
            [category],
        )
        assert datetime.fromisoformat(multiplier["starts_at"]) == start
        assert datetime.fromisoformat(multiplier["ends_at"]) == start + timedelta(days=7)
        (free,) = rules["redeem"]["rewards"]
        assert (free["id"], free["kind"], free["dust"]) == ("free-shipping", "free_shipping", 300)

        merchant.delete(f"/admin/product-categories/{category}")
        page.reload()
        expect(week.get_by_text(f"deleted: {category}")).to_be_visible()
        expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()


def keep_whole(page: Page, name: str) -> None:
    """A screenshot of the whole form, which the dashboard scrolls inside the page."""
    page.set_viewport_size({"width": 1440, "height": 5000})
    keep(page, name)


# Too long for a text, and no number.
NONSENSE = "x" * 300


def test_nonsense_in_every_field_is_shown_at_every_field(page: Page) -> None:
    for name in ("product", "multiplier", "tier", "reward", "reward"):
        page.get_by_role("button", name=f"Add a {name}").click()
    page.get_by_label("Limit for a customer over several days").click()
    page.get_by_role("group", name="Reward 2", exact=True).get_by_label("Kind").click()
    page.get_by_role("option", name="Free product").click()
    fields = page.locator("form").locator("input[aria-invalid], textarea")
    for field in fields.all():
        field.fill(NONSENSE)
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_text(re.compile(r"Not saved: \d+ fields are wrong"))).to_be_visible()
    shown: list[dict[str, Any]] = fields.evaluate_all(
        """fields => fields.map(field => ({
            field: field.closest("[data-field]").dataset.field,
            invalid: field.ariaInvalid,
            message: document.getElementById(field.getAttribute("aria-describedby"))?.textContent,
        }))"""
    )
    assert len(shown) > 40
    assert [field for field in shown if field["invalid"] != "true" or not field["message"]] == []
    # A reward that has no product says so too.
    expect(page.locator('[data-field="redeem.rewards.1.product_id"]').get_by_text("Please choose one")).to_be_visible()
    expect(fields.first).to_be_focused()
    keep_whole(page, "programme-nonsense")
    assert serious_findings(page, axe_script(), within="main") == []

    first = fields.first
    first.fill("1")
    expect(first).to_have_attribute("aria-invalid", "false")


def test_a_merchant_drafts_rules_sees_their_impact_publishes_and_restores(page: Page, world: World) -> None:
    rules = world.bridge.ask("GET", "/admin/dust/programme")
    before = world.bridge.ask(
        "PUT", "/admin/dust/programme", rules | {"earn": {**rules["earn"], "rates": {"eur": "1"}}}
    )
    with world.shopper() as shopper:
        shopper.buy((world.keys.shirt, 2))
        world.bridge.wait_for_balance(shopper.customer_id, 20)
    dialog, rate = page.get_by_role("dialog"), page.locator('[data-field="earn.rates.eur"] input')
    page.reload()
    rate.fill("-1")
    page.get_by_role("button", name="Show the impact").click()
    expect(dialog.get_by_text("One field of the rules is wrong.")).to_be_visible()
    dialog.get_by_role("button", name="Close", exact=True).click()
    expect(page.get_by_text("Must be more than 0")).to_be_visible()
    rate.fill("3")
    page.get_by_role("button", name="Show the impact").click()
    expect(dialog.get_by_role("img", name=re.compile(r"Points by month\. .* then\."))).to_be_visible(timeout=90_000)
    expect(dialog.get_by_role("cell", name=f"{now():%Y-%m}", exact=True)).to_be_visible()
    expect(dialog.get_by_role("cell", name="The rate alone")).to_be_visible()
    keep_checked(page, "programme-impact")
    dialog.get_by_role("button", name="Close", exact=True).click()

    page.get_by_role("button", name="Save as draft").click()
    dialog.get_by_role("button", name="Save draft").click()
    expect(dialog.get_by_text("Please fill this in")).to_be_visible()
    dialog.get_by_label("Name").fill("Three points")
    keep_checked(page, "programme-draft")
    dialog.get_by_role("button", name="Save draft").click()
    expect(page.get_by_role("cell", name="Three points", exact=True)).to_be_visible()
    expect(page.get_by_role("cell", name=re.compile(world.shop.admin_email))).to_be_visible()
    keep_checked(page, "programme-drafts")
    assert world.bridge.ask("GET", "/admin/dust/programme")["version"] == before["version"]
    page.get_by_role("button", name="Actions for Three points").click()
    page.get_by_role("menuitem", name="Publish").click()
    expect(dialog.get_by_text("Points for each unit of money (EUR): 1 → 3")).to_be_visible()
    keep_checked(page, "programme-publish")
    dialog.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("There are no drafts.")).to_be_visible()

    page.get_by_role("tab", name="History").click()
    newest = page.get_by_role("listitem").filter(has_text=f"Version {before['version'] + 1}").first
    expect(newest.get_by_text("Points for each unit of money (EUR): 1 → 3")).to_be_visible()
    expect(newest.get_by_text(f"By {world.shop.admin_email}")).to_be_visible()
    keep_checked(page, "programme-history")
    page.get_by_role("button", name=f"Restore version {before['version']}", exact=True).click()
    expect(rate).to_have_value("1")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text(f"Version {before['version'] + 2}, by")).to_be_visible()
    restored = world.bridge.ask("GET", "/admin/dust/programme")
    assert (restored["earn"], restored["version"]) == (before["earn"], before["version"] + 2)
