"""The plugin's pages in Medusa's dashboard: screenshots, axe, and filling in dates."""

import re
from datetime import datetime

from playwright.sync_api import Locator, Page

from tests.support.axe import axe_script, serious_findings
from tests.support.live_worlds import SCREENSHOTS

# Medusa UI 4.2 gives no name to these: the button that closes a drawer or a modal, the menus and the search icon of a
# DataTable.
_NAMELESS_IN_MEDUSA = [
    "[role=dialog] kbd + button",
    "[role=dialog] button:has(+ kbd)",
    "button[aria-haspopup=menu]:not([aria-label])",
    "div[role=img].pointer-events-none",
]


def keep(page: Page, name: str) -> None:
    """A screenshot to look at, once nothing moves any more."""
    page.wait_for_load_state("networkidle")
    page.screenshot(path=SCREENSHOTS / f"dashboard-{name}.png", full_page=True, animations="disabled")


def keep_checked(page: Page, name: str) -> None:
    """As `keep`. Fails the test with what axe finds serious or critical."""
    keep(page, name)
    context = {"include": [_own_part(page)], "exclude": _NAMELESS_IN_MEDUSA}
    violations = serious_findings(page, axe_script(), within=context)
    assert violations == [], f"{name}: {violations}"


def fill_moment(card: Locator, label: str, moment: datetime) -> None:
    """Type a moment into a date picker, part by part."""
    field = card.get_by_role("group", name=label, exact=True)
    parts = {"month": "%m", "day": "%d", "year": "%Y", "hour": "%I", "minute": "%M", "AM": "%p"}
    for part, text in parts.items():
        field.get_by_role("spinbutton", name=re.compile(rf"^{part}\b")).press_sequentially(f"{moment:{text}}")


def _own_part(page: Page) -> str:
    """The plugin's part of the dashboard: an open drawer, question or menu, else a page below /dust, else a widget."""
    dialogs = "[role=dialog], [role=alertdialog], [role=menu]"
    if page.locator(dialogs).count():
        return dialogs
    if "/app/dust" in page.url:
        return "main"
    heading = page.get_by_role("heading", name="Dust", exact=True)
    widget = page.locator("div.shadow-elevation-card-rest").filter(has=heading)
    widget.first.evaluate("part => part.setAttribute('data-checked', '')")
    return "[data-checked]"
