"""Drafts of the rules in Medusa's real dashboard: a conflict, a start date, and an impact that fails."""

import re
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from playwright.sync_api import Locator, Page, expect

from bridge.clock import now
from bridge.development.demo.people import Json
from tests.support.dashboard import fill_moment, keep_checked
from tests.support.live_worlds import World

pytestmark = pytest.mark.live

DRAFTS = "/admin/dust/programme/drafts"
# Each minute Dust looks for drafts whose time has come, and every 15 s the list is read again.
PUBLISHED_MS = 150_000


@pytest.fixture
def page(dashboard: Page, world: World) -> Iterator[Page]:
    """The page of the rules. Afterwards the rules are as before, and there are no drafts."""
    before = world.bridge.ask("GET", "/admin/dust/programme")
    dashboard.goto("/app/dust/programme")
    yield dashboard
    for draft in world.bridge.ask("GET", DRAFTS)["drafts"]:
        world.bridge.ask("DELETE", f"{DRAFTS}/{draft['id']}")
    world.bridge.ask("PUT", "/admin/dust/programme", before)


def save_draft(page: Page, name: str, *, rate: str) -> None:
    """Fill in another earning rate, and save the rules as a draft."""
    rate_field(page).fill(rate)
    page.get_by_role("button", name="Save as draft").click()
    drawer = page.get_by_role("dialog")
    drawer.get_by_label("Name").fill(name)
    drawer.get_by_role("button", name="Save draft").click()
    expect(page.get_by_role("cell", name=name, exact=True)).to_be_visible()


def rate_field(page: Page) -> Locator:
    return page.locator('[data-field="earn.rates.eur"] input')


def choose(page: Page, draft: str, action: str) -> None:
    page.get_by_role("button", name=f"Actions for {draft}").click()
    page.get_by_role("menuitem", name=action).click()


def publish_rate(world: World, rate: str) -> Json:
    """Another merchant changes the rate meanwhile."""
    rules = world.bridge.ask("GET", "/admin/dust/programme")
    return world.bridge.ask("PUT", "/admin/dust/programme", rules | {"earn": {**rules["earn"], "rates": {"eur": rate}}})


def starts_now(world: World, name: str) -> None:
    """Move the start date of the draft to now."""
    with psycopg.connect(world.bridge.database) as connection:
        connection.execute("UPDATE programme_draft SET starts_at = now() WHERE name = %s", [name])


def test_a_draft_in_conflict_with_a_newer_version_is_resolved_and_published(page: Page, world: World) -> None:
    drawer = page.get_by_role("dialog")
    save_draft(page, "Spring", rate="3")
    theirs = publish_rate(world, "2")

    choose(page, "Spring", "Publish")
    expect(drawer.get_by_text(f"Version {theirs['version']} has changed these rules too")).to_be_visible()
    expect(drawer.get_by_text("Points for each unit of money (EUR)")).to_be_visible()
    expect(drawer.get_by_role("button", name="Publish")).to_be_disabled()
    keep_checked(page, "draft-publish-conflict")
    drawer.get_by_role("button", name="Cancel").click()
    choose(page, "Spring", "Open")
    expect(page.get_by_text("You are changing the draft “Spring”")).to_be_visible()
    expect(page.get_by_text(f"Version {theirs['version']} has changed these rules too, since")).to_be_visible()
    expect(rate_field(page)).to_have_value("3")
    keep_checked(page, "draft-conflict")
    page.get_by_role("button", name="Save draft").click()
    drawer.get_by_role("button", name="Save draft").click()
    expect(page.get_by_text(f"Version {theirs['version']} has changed these rules too, since")).to_have_count(0)

    page.get_by_role("tab", name="Drafts").click()
    choose(page, "Spring", "Publish")
    expect(drawer.get_by_text("Points for each unit of money (EUR): 2 → 3")).to_be_visible()
    drawer.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("There are no drafts.")).to_be_visible()
    assert world.bridge.ask("GET", "/admin/dust/programme")["earn"]["rates"] == {"eur": "3"}


def test_two_editors_of_a_draft_do_not_overwrite_each_other(page: Page, world: World) -> None:
    drawer = page.get_by_role("dialog")
    save_draft(page, "Autumn", rate="3")
    choose(page, "Autumn", "Open")
    expect(rate_field(page)).to_have_value("3")
    [listed] = world.bridge.ask("GET", DRAFTS)["drafts"]
    path = f"{DRAFTS}/{listed['id']}"
    theirs = world.bridge.ask("GET", path)
    theirs = {name: theirs[name] for name in ("document", "based_on", "starts_at")} | {"name": "Theirs"}
    world.bridge.ask("PUT", path, theirs)

    rate_field(page).fill("4")
    page.get_by_role("button", name="Save draft").click()
    drawer.get_by_role("button", name="Save draft").click()
    expect(drawer.get_by_text("Another user has saved this draft")).to_be_visible()
    keep_checked(page, "draft-replaced")
    assert world.bridge.ask("GET", path)["name"] == "Theirs"
    drawer.get_by_role("button", name="Save mine and replace theirs").click()

    expect(drawer).to_have_count(0)
    mine = world.bridge.ask("GET", path)
    assert (mine["name"], mine["document"]["earn"]["rates"]) == ("Autumn", {"eur": "4"})


def test_drafts_start_by_themselves_or_say_why_not(page: Page, world: World) -> None:
    drawer = page.get_by_role("dialog")
    save_draft(page, "Summer", rate="4")
    choose(page, "Summer", "Name and start")
    fill_moment(drawer, "Start", now() - timedelta(days=2))
    drawer.get_by_role("button", name="Save draft").click()
    expect(drawer.get_by_text("must be in the future")).to_be_visible()
    keep_checked(page, "draft-start-past")
    fill_moment(drawer, "Start", now() + timedelta(days=2))
    expect(drawer.get_by_text("must be in the future")).to_have_count(0)
    drawer.get_by_role("button", name="Save draft").click()
    row = page.get_by_role("row").filter(has_text="Summer")
    expect(row.get_by_text(f"{now() + timedelta(days=2):%-d %b %Y}")).to_be_visible()

    publish_rate(world, "2")
    starts_now(world, "Summer")
    expect(row.get_by_text("Could not start: Version")).to_be_visible(timeout=PUBLISHED_MS)
    keep_checked(page, "draft-not-started")
    choose(page, "Summer", "Open")
    page.get_by_role("button", name="Save draft").click()
    fill_moment(drawer, "Start", now() + timedelta(days=2))
    drawer.get_by_role("button", name="Save draft").click()
    expect(drawer).to_have_count(0)
    starts_now(world, "Summer")
    page.get_by_role("tab", name="Drafts").click()
    expect(page.get_by_text("There are no drafts.")).to_be_visible(timeout=PUBLISHED_MS)
    assert world.bridge.ask("GET", "/admin/dust/programme")["earn"]["rates"] == {"eur": "4"}


def test_an_impact_that_fails_can_be_asked_for_again(page: Page, world: World) -> None:
    dialog = page.get_by_role("dialog")
    rate_field(page).fill("3")
    with world.bridge.away():
        page.get_by_role("button", name="Show the impact").click()
        expect(dialog.get_by_text("The impact could not be computed.")).to_be_visible()
        keep_checked(page, "programme-impact-failed")
    dialog.get_by_role("button", name="Try again").click()
    impact = dialog.get_by_role("img", name=re.compile("Points by month")).or_(
        dialog.get_by_text("There were no orders")
    )
    expect(impact.first).to_be_visible(timeout=90_000)
