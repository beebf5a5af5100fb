"""Medusa's dashboard in a shop with 5,000 members and 50,000 orders. Saves each page's time and screenshot.

`tests/bridge/test_large_shop.py` counts what the bridge reads for these pages.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Locator, Page, expect

from bridge.clock import now
from tests.support.dashboard import keep_checked
from tests.support.large_shop import MEMBERS, fill
from tests.support.live_worlds import SCREENSHOTS, World, real_world

pytestmark = pytest.mark.live

# Milliseconds from the last answer of Dust until now, and until that answer.
_TIMES = """() => {
    const answers = performance.getEntriesByType("resource").filter((entry) => entry.name.includes("/admin/dust"))
    const last = Math.max(...answers.map((entry) => entry.responseEnd))
    return { data: Math.round(last), usable_after: Math.round(performance.now() - last), requests: answers.length }
}"""


@pytest.fixture(scope="module")
def world(database_url: str, folder: Path) -> Iterator[World]:
    """A shop of its own, because other tests could not find their members and orders in this one."""
    with real_world(database_url, folder, "large") as world:
        with psycopg.connect(world.bridge.database, autocommit=True) as owner:
            fill(owner, moment=now())
        yield world


def rows(page: Page) -> Locator:
    """The rows of the page's last table, without its header."""
    return page.get_by_role("table").last.get_by_role("row").filter(has=page.get_by_role("cell"))


def test_every_page_shows_a_large_shop(dashboard: Page) -> None:
    page = dashboard
    shown = {
        "/app/dust?tab=redemptions": rows(page).nth(19),
        "/app/dust?tab=events": rows(page).nth(19),
        "/app/dust?tab=outgoing": rows(page).nth(19),
        "/app/dust/members": rows(page).nth(19),
        "/app/dust/programme": page.get_by_role("heading", name="Earning", exact=True).first,
        "/app/dust/reports?tab=liability": page.get_by_text(f"{MEMBERS:,}").first,
        "/app/dust/reports?tab=movements": rows(page).first,
        "/app/dust/reports?tab=expiring": rows(page).first,
        "/app/dust/reports?tab=breakage": rows(page).first,
        "/app/dust/reports?tab=closes": rows(page).nth(10),
        "/app/dust/reports?tab=marketing": page.get_by_role("img", name=re.compile("Active members, .*highest")),
        "/app/dust/reports?tab=forecasts": page.get_by_text("Earned what the last quote said"),
    }
    times = {}
    for path, content in shown.items():
        page.goto(path)
        expect(content).to_be_visible()
        times[path] = page.evaluate(_TIMES)
        keep_checked(page, "large-" + path.rpartition("=" if "=" in path else "/")[2])
    (SCREENSHOTS / "dashboard-large.json").write_text(json.dumps(times, indent=2))


def test_members_of_a_large_shop_are_found_and_paged(dashboard: Page) -> None:
    page = dashboard
    page.goto("/app/dust/members")
    expect(rows(page).nth(19)).to_be_visible()
    page.get_by_role("button", name="Show more").click()
    expect(rows(page).nth(39)).to_be_visible()
    page.get_by_placeholder("Name, e-mail or id").fill("cus_004242")
    expect(rows(page)).to_have_count(1)
    expect(rows(page).get_by_text("cus_004242").first).to_be_visible()
