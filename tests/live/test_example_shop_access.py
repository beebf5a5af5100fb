"""The example shop for shoppers with other needs: keyboard only, 200 % zoom, right to left, German."""

import re

import pytest
from playwright.sync_api import Browser, expect

from bridge.development.demo.people import Storefront
from bridge.development.demo.seed import SHORTS, SeededProduct
from tests.support.example_shop import PHONE, ZOOMED, panel, shopper_in, signed_up, use_points
from tests.support.live_worlds import MUG_DUST, World

pytestmark = pytest.mark.live

ENGLISH = re.compile(r"\b(the|you|your|of|with|for|to|points?)\b", re.IGNORECASE)


def test_points_are_redeemed_with_the_keyboard_only(browser: Browser, site: str, world: World) -> None:
    with shopper_in(browser, site, ZOOMED) as shopper, signed_up(shopper, world) as customer:
        page, press, fill = shopper.page, shopper.page.keyboard.press, shopper.page.keyboard.type
        world.bridge.give(customer.api.customer_id, 900)
        shopper.add("shorts")
        page.goto("/cart")
        expect(panel(shopper).get_by_label("How many points?")).to_be_visible()
        press("Tab")
        press("Enter")
        expect(page).to_have_url(re.compile("#main"))
        shopper.tab_to(panel(shopper).get_by_role("slider"))
        press("Home")
        expect(panel(shopper).get_by_role("button", name="Use 1 point", exact=True)).to_be_visible()
        press("End")
        shopper.tab_to(panel(shopper).get_by_label("How many points?"))
        press("ControlOrMeta+a")
        fill("500")
        press("Enter")
        expect(panel(shopper).get_by_text("500 points used: €5.00 off.")).to_be_visible()
        shopper.keep("keyboard")
        remove = panel(shopper).get_by_role("button", name="Remove: €5.00 off")
        shopper.tab_to(remove, back=True)
        press("Enter")
        expect(panel(shopper).get_by_text("Removed.")).to_be_visible()
        expect(panel(shopper).get_by_role("heading", name="Pay with points")).to_be_focused()
        shopper.tab_to(panel(shopper).get_by_role("button", name="Use 900 points"))
        press("Space")
        expect(panel(shopper).get_by_text("900 points used")).to_be_visible()

        page.goto("/checkout")
        for label, value in {"Street and number": "Quay 1", "Postal code": "1050", "City": "Copenhagen"}.items():
            shopper.tab_to(page.get_by_label(label))
            fill(value)
        save = page.get_by_role("button", name="Save the address")
        shopper.tab_to(save)
        press("Enter")
        expect(page.get_by_text("Address saved")).to_be_visible()
        expect(save).to_be_focused()
        parcel = page.get_by_label("Parcel")
        shopper.tab_to(parcel)
        press("Space")
        expect(shopper.order_button).to_be_enabled()
        # Its price has changed the sums of the page, and the focus is where it was.
        expect(parcel).to_be_focused()
        shopper.keep("keyboard-checkout")
        shopper.tab_to(shopper.order_button)
        press("Enter")
        expect(page.get_by_text("You used 900 points.")).to_be_visible()


def test_the_title_gets_the_focus_when_a_line_or_the_last_one_is_removed(browser: Browser, site: str) -> None:
    with shopper_in(browser, site, ZOOMED) as shopper:
        page = shopper.page
        for handle in ("mug", "shorts"):
            shopper.add(handle)
        page.goto("/cart")
        for product, title in {"Mug": "Your cart", "Shorts": "Your cart is empty"}.items():
            page.get_by_role("button", name=f"Remove {product}").focus()
            page.keyboard.press("Enter")
            expect(page.get_by_role("link", name=product)).to_have_count(0)
            expect(page.get_by_role("heading", name=title, exact=True)).to_be_focused()


def test_a_german_browser_gets_a_german_shop(browser: Browser, site: str, world: World, mug: SeededProduct) -> None:
    api = Storefront(world.keys)
    api.register()
    world.bridge.give(api.customer_id, 900)
    with shopper_in(browser, site, PHONE, language="de-DE") as shopper:
        page = shopper.page

        def speaks_german(name: str, path: str) -> None:
            page.goto(path)
            shopper.keep(f"german-{name}")
            expect(page.locator("html")).to_have_attribute("lang", "de")
            # Medusa's own texts are in the language of its merchant.
            assert ENGLISH.findall(page.locator("body").inner_text().replace(SHORTS.description, "")) == [], name

        speaks_german("home", "/")
        speaks_german("signup", "/signup")
        page.goto("/login")
        page.get_by_label("E-Mail").fill(api.email)
        page.get_by_label("Passwort").fill(api.password)
        page.get_by_role("button", name="Anmelden").click()
        expect(page.get_by_role("heading", name="Hallo Ada")).to_be_visible()
        for handle in ("mug", "shorts"):
            page.goto(f"/products/{handle}")
            page.get_by_role("button", name="In den Warenkorb").click()
            expect(page.get_by_text("In den Warenkorb gelegt")).to_be_visible()
        for name, path in {"list": "/products", "product": "/products/shorts", "cart": "/cart"}.items():
            speaks_german(name, path)
        cart = page.get_by_role("region", name="Punkte einlösen")
        cart.get_by_label("Wie viele Punkte?").fill("1,5")
        expect(cart.get_by_text("Geben Sie eine ganze Zahl ein")).to_be_visible()
        cart.get_by_label("Wie viele Punkte?").fill("500")
        cart.get_by_role("button", name="500 Punkte einlösen").click()
        expect(cart.get_by_text("500 Punkte eingelöst: 5,00 € Rabatt.")).to_be_visible()
        speaks_german("checkout", "/checkout")
        address = {"Straße": "Kai 1", "Postleitzahl": "1050", "Ort": "Kopenhagen"}
        for label, value in address.items():
            page.get_by_label(label).fill(value)
        page.get_by_role("button", name="Adresse speichern").click()
        expect(page.get_by_text("Adresse gespeichert")).to_be_visible()
        page.get_by_label("Parcel").check()
        page.get_by_role("button", name="Bestellen").click()
        expect(page.get_by_text("„Mug“ ist nur gegen Punkte erhältlich.")).to_be_visible()
        shopper.keep("german-refused")
        cart.get_by_role("button", name=f"{MUG_DUST} Punkte einlösen").click()
        expect(cart.get_by_text(f"Eingelöst: {MUG_DUST} Punkte.")).to_be_visible()
        page.get_by_role("button", name="Bestellen").click()
        expect(page.get_by_role("heading", name="Vielen Dank für Ihre Bestellung")).to_be_visible()
        expect(page.get_by_text("Sie haben 800 Punkte eingelöst.")).to_be_visible()
        speaks_german("order", page.url)
        speaks_german("account", "/account")
    api.close()


def test_pages_from_right_to_left_fit(browser: Browser, site: str, world: World) -> None:
    """The shop has no such language, so the test turns its pages."""
    with shopper_in(browser, site, PHONE) as shopper, signed_up(shopper, world) as customer:
        world.bridge.give(customer.api.customer_id, 900)
        shopper.add("shorts")
        shopper.page.goto("/cart")
        use_points(shopper, 500)
        for path in ("/", "/products/shorts", "/cart", "/checkout", "/account"):
            shopper.page.goto(path, wait_until="networkidle")
            shopper.page.evaluate("document.documentElement.dir = 'rtl'")
            shopper.keep(f"rtl-{path.rpartition('/')[2] or 'home'}")


def test_a_form_keeps_what_was_typed_when_it_is_refused(browser: Browser, site: str) -> None:
    with shopper_in(browser, site, PHONE) as shopper:
        page = shopper.page
        page.goto("/login")
        page.get_by_label("E-mail").fill("nobody@example.com")
        page.get_by_label("Password").fill("wrong-password")
        page.get_by_role("main").get_by_role("button", name="Log in").click()
        expect(page.get_by_text("The e-mail address or the password is wrong.")).to_be_visible()
        expect(page.get_by_label("E-mail")).to_have_value("nobody@example.com")
