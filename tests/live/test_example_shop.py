"""Shoppers in the production build of the example shop, in a headless Chromium: the usual flow and failures."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Route, expect

from bridge.development.demo.seed import SeededProduct
from tests.support.example_shop import (
    PHONE,
    WIDE,
    Customer,
    Shopper,
    hanging,
    panel,
    seconds_of,
    shopper_in,
    signed_up,
    use_points,
)
from tests.support.live_worlds import LAN_HOST, MUG_DUST, World

pytestmark = pytest.mark.live

# How much longer a page may take while Dust hangs: the timeout of one read (1.5 s), not of two in sequence.
MORE_SECONDS = 2.5


@pytest.fixture(params=[WIDE, PHONE], ids=["wide", "phone"])
def anybody(request: pytest.FixtureRequest, browser: Browser, site: str) -> Iterator[Shopper]:
    """A visitor without an account, on a computer and on a phone."""
    with shopper_in(browser, site, request.param) as shopper:
        yield shopper


@pytest.fixture
def guest(browser: Browser, site: str) -> Iterator[Shopper]:
    with shopper_in(browser, site, PHONE) as shopper:
        yield shopper


@pytest.fixture
def customer(guest: Shopper, world: World) -> Iterator[Customer]:
    """With 900 points and shorts for 25.00 in the cart."""
    with signed_up(guest, world) as customer:
        world.bridge.give(customer.api.customer_id, 900)
        guest.add("shorts")
        yield customer


def total(shopper: Shopper) -> str:
    """The sum in money."""
    row = shopper.page.locator(".totals .sum", has=shopper.page.get_by_text("Total", exact=True))
    return row.get_by_role("definition").inner_text()


def test_a_shopper_signs_up_earns_and_pays_with_points(anybody: Shopper, world: World) -> None:
    shopper, page = anybody, anybody.page
    page.goto("/")
    expect(page.get_by_text("Earn 40 points")).to_be_visible()
    shopper.keep("home")
    page.goto("/products")
    expect(page.get_by_text("Earn 20 points")).to_be_visible()
    shopper.keep("list")
    page.goto("/signup")
    shopper.keep("signup")
    with signed_up(shopper, world) as customer:
        shopper.sees_points(0)
        shopper.add("hoodie")
        shopper.keep("product")
        page.goto("/cart")
        expect(panel(shopper).get_by_text("You earn 40 points with this order.")).to_be_visible()
        shopper.keep("cart-without-points")
        shopper.fill_in_checkout()
        shopper.keep("checkout")
        shopper.place_order()
        expect(page.get_by_text("You earned 40 points with this order.")).to_be_visible()
        shopper.sees_points(40)
        shopper.keep("order")

        world.bridge.give(customer.api.customer_id, 500)
        shopper.add("shorts")
        page.goto("/cart")
        use_points(shopper, 500)
        expect(page.get_by_text("−€5.00").or_(page.get_by_text("-€5.00")).first).to_be_visible()
        shopper.sees_points(40)
        shopper.keep("cart-with-points")
        shopper.fill_in_checkout()
        shopper.keep("checkout-with-points")
        shopper.place_order()
        # 20.00 without tax, less 5.00 with tax.
        expect(page.get_by_text("You earned 16 points with this order.")).to_be_visible()
        expect(page.get_by_text("You used 500 points.")).to_be_visible()
        shopper.keep("order-with-points")

        page.get_by_role("link", name="Account").click()
        shopper.sees_points(56)
        expect(page.get_by_role("region", name="History").get_by_text("Used")).to_be_visible()
        shopper.keep("account")
        assert customer.balance()["balance"] == 56
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("link", name="Log in")).to_be_visible()
        expect(page.locator(".dust-nav")).to_have_count(0)


def test_a_product_that_only_points_can_buy(customer: Customer, mug: SeededProduct) -> None:
    shopper, page = customer.shopper, customer.shopper.page
    shopper.add("mug")
    expect(page.get_by_role("main").get_by_text(f"{MUG_DUST} points", exact=True)).to_be_visible()
    shopper.fill_in_checkout()
    shopper.order_button.click()
    expect(page.get_by_text("“Mug” can only be bought with points.")).to_be_visible()
    panel(shopper).get_by_role("button", name=f"Pay {MUG_DUST} points").click()
    expect(panel(shopper).get_by_text(f"Paid: {MUG_DUST} points.")).to_be_visible()
    expect(page.get_by_text("can only be bought with points")).to_have_count(0)
    in_points = page.locator(".totals dd").filter(has_text=f"{MUG_DUST} points")
    expect(in_points).to_be_visible()
    shopper.keep("points-only")
    money = total(shopper)
    order_id = shopper.place_order()
    expect(page.get_by_text(f"You used {MUG_DUST} points.")).to_be_visible()
    # The shorts and the parcel are paid with money, the mug with points: a reload shows the same.
    for _ in range(2):
        expect(in_points).to_be_visible()
        assert total(shopper) == money
        expect(page.get_by_role("listitem").filter(has_text="Mug").get_by_text(f"{MUG_DUST} points")).to_be_visible()
        page.reload()
    shopper.keep("order-points-only")
    page.goto("/account")
    mine = page.get_by_role("listitem").filter(has=page.locator(f'a[href="/order/{order_id}"]'))
    expect(mine.get_by_text(f"{money} and {MUG_DUST} points")).to_be_visible()


def test_a_guest_reads_that_a_product_needs_an_account(guest: Shopper, mug: SeededProduct) -> None:
    guest.add("mug")
    guest.page.goto("/cart")
    expect(guest.page.get_by_text("Sign in to buy Mug: only points can pay for it.")).to_be_visible()
    guest.keep("guest-points-only")
    guest.fill_in_checkout("guest@example.com")
    guest.order_button.click()
    expect(guest.page.get_by_text("“Mug” can only be bought with points.")).to_be_visible()


def test_a_page_waits_for_one_read_at_most_while_dust_hangs(customer: Customer, world: World) -> None:
    shopper, page = customer.shopper, customer.shopper.page
    shopper.fill_in_checkout()
    order_id = shopper.place_order()
    shopper.add("shirt")
    shopper.fill_in_checkout()
    paths = ["/", "/products", "/products/hoodie", "/cart", "/checkout", "/account", f"/order/{order_id}"]
    for path in paths:
        seconds_of(page, path)
    usual = {path: seconds_of(page, path) for path in paths}
    with hanging(world.bridge):
        took = {path: seconds_of(page, path) for path in paths}
        page.goto("/cart")
        expect(page.get_by_role("heading", name="Your cart")).to_be_visible()
        shopper.keep("dust-hangs")
        page.goto("/checkout")
        shopper.place_order()
    print({path: (round(usual[path], 2), round(took[path], 2)) for path in paths})
    assert {path: seconds for path, seconds in took.items() if seconds > usual[path] + MORE_SECONDS} == {}


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("0", "Enter at least 1."),
        ("-5", "Enter at least 1."),
        ("1.5", "Enter a whole number"),
        ("1000000000", "You have 900 points. Enter 900 or less."),
        ("", "Enter how many points you want to use"),
    ],
)
def test_a_number_that_cannot_be_used(customer: Customer, typed: str, message: str) -> None:
    page = customer.shopper.page
    page.goto("/cart")
    field = panel(customer.shopper).get_by_label("How many points?")
    field.fill(typed)
    field.press("Enter")
    expect(panel(customer.shopper).get_by_text(message)).to_be_visible()
    assert customer.balance()["held"] == 0


def test_too_few_points(guest: Shopper, world: World, mug: SeededProduct) -> None:
    with signed_up(guest, world) as customer:
        world.bridge.give(customer.api.customer_id, 200)
        guest.add("mug")
        guest.page.goto("/cart")
        expect(panel(guest).get_by_text(f"You need {MUG_DUST - 200} points more.")).to_be_visible()
        expect(panel(guest).get_by_role("button", name=f"Pay {MUG_DUST} points")).to_be_disabled()


def test_a_double_click_redeems_once_and_orders_once(customer: Customer) -> None:
    shopper, page = customer.shopper, customer.shopper.page
    shopper.fill_in_checkout()
    panel(shopper).get_by_label("How many points?").fill("500")
    panel(shopper).get_by_role("button", name="Use 500 points").dblclick()
    expect(panel(shopper).get_by_text("500 points used")).to_be_visible()
    assert (customer.balance()["held"], customer.balance()["available"]) == (500, 400)
    shopper.order_button.dblclick()
    expect(page).to_have_url(re.compile("/order/order_"))
    assert len(customer.api.ask("GET", "/store/orders")["orders"]) == 1


def test_a_code_that_was_released_elsewhere(customer: Customer) -> None:
    shopper, page = customer.shopper, customer.shopper.page
    page.goto("/cart")
    use_points(shopper, 500)
    [redemption] = customer.api.ask("GET", "/store/dust/redemptions?state=active")["redemptions"]
    customer.api.ask("DELETE", f"/store/dust/redemptions/{redemption['id']}")
    page.reload()
    expect(panel(shopper).get_by_role("button", name=re.compile("^Remove"))).to_have_count(0)
    shopper.sees_points(900)
    shopper.fill_in_checkout()
    expect(page.get_by_text("Discount", exact=True)).to_have_count(0)
    shopper.place_order()


def test_an_emptied_cart_frees_its_points(customer: Customer) -> None:
    shopper, page = customer.shopper, customer.shopper.page
    page.goto("/cart")
    use_points(shopper, 500)
    assert customer.holds(500)
    page.get_by_role("button", name="Remove Shorts").click()
    expect(page.get_by_role("heading", name="Your cart is empty")).to_be_visible()
    assert customer.holds(0)


def test_a_logout_frees_the_points_of_the_cart(customer: Customer) -> None:
    shopper, page = customer.shopper, customer.shopper.page
    page.goto("/cart")
    use_points(shopper, 500)
    page.goto("/account")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()
    assert customer.balance()["held"] == 0


def test_an_expired_session(customer: Customer) -> None:
    shopper, page = customer.shopper, customer.shopper.page
    page.goto("/cart")
    expect(panel(shopper).get_by_label("How many points?")).to_be_visible()
    [cookie] = [cookie for cookie in page.context.cookies() if cookie.get("name") == "shop_token"]
    end_session(shopper)
    panel(shopper).get_by_label("How many points?").fill("100")
    panel(shopper).get_by_role("button", name="Use 100 points").click()
    expect(page.get_by_text(re.compile("sign in", re.IGNORECASE)).first).to_be_visible()
    shopper.keep("session-ended")
    page.goto("/account")
    expect(page.get_by_text("Your session has ended.")).to_be_visible()
    assert customer.balance()["held"] == 0
    assert cookie.get("httpOnly") is True


def test_a_session_that_ends_before_the_order(customer: Customer) -> None:
    shopper = customer.shopper
    shopper.page.goto("/cart")
    use_points(shopper, 500)
    shopper.fill_in_checkout()
    end_session(shopper)
    shopper.order_button.click()
    expect(shopper.page.get_by_text("Please sign in to the account whose points this cart spends.")).to_be_visible()


def end_session(shopper: Shopper) -> None:
    shopper.page.context.add_cookies([{"name": "shop_token", "value": "expired", "url": shopper.url}])


def test_the_back_button_after_the_order(customer: Customer) -> None:
    shopper, page = customer.shopper, customer.shopper.page
    shopper.fill_in_checkout()
    shopper.place_order()
    page.go_back()
    expect(page.get_by_role("heading", name="There is nothing to pay")).to_be_visible()
    assert len(customer.api.ask("GET", "/store/orders")["orders"]) == 1


def test_a_region_in_which_points_are_worth_nothing(customer: Customer) -> None:
    shopper, page = customer.shopper, customer.shopper.page
    page.goto("/cart")
    use_points(shopper, 500)
    page.get_by_label("Deliver to").select_option(label="United States (USD)")
    expect(page.get_by_text("$20.00").first).to_be_visible()
    expect(panel(shopper).get_by_text("cannot be used for prices in USD")).to_be_visible()
    assert customer.holds(0)


def test_two_tabs(customer: Customer) -> None:
    shopper = customer.shopper
    shopper.page.goto("/cart")
    with shopper.second_tab() as other:
        other.page.goto("/cart")
        expect(panel(other).get_by_label("How many points?")).to_be_visible()
        use_points(shopper, 500)
        panel(other).get_by_label("How many points?").fill("900")
        panel(other).get_by_role("button", name="Use 900 points").click()
        expect(panel(other).get_by_text("You need 900 points and have 400.")).to_be_visible()
        use_points(other, 300)
        other.keep("two-tabs")

        shopper.fill_in_checkout()
        panel(other).get_by_role("button", name="Remove: €3.00 off").click()
        expect(panel(other).get_by_text("Removed.")).to_be_visible()
        # The page of the first tab still shows the discount that is gone.
        before = total(shopper)
        shopper.order_button.click()
        expect(shopper.page.get_by_text("Your cart has changed since")).to_be_visible()
        expect(panel(shopper).get_by_role("button", name=re.compile("^Remove"))).to_have_count(1)
        assert total(shopper) != before
        shopper.place_order()
        # The other tab's cart is an order now.
        panel(other).get_by_role("button", name="Remove: €5.00 off").click()
        expect(other.page.get_by_role("heading", name="Your cart is empty")).to_be_visible()
    assert customer.holds(0)


def test_a_phone_on_the_lan_over_plain_http(browser: Browser, site: str, world: World) -> None:
    """No secure context: the browser has neither `crypto.randomUUID` nor a clipboard."""
    url = site.replace("127.0.0.1", LAN_HOST)
    with shopper_in(browser, url, PHONE) as shopper, signed_up(shopper, world) as customer:
        assert shopper.page.evaluate("[isSecureContext, 'randomUUID' in crypto, 'clipboard' in navigator]") == [
            False,
            False,
            False,
        ]
        world.bridge.give(customer.api.customer_id, 900)
        with referral_offered(world):
            shopper.page.reload()
            shopper.page.get_by_role("button", name="Copy").click()
            expect(shopper.page.get_by_text("Copied.")).to_be_visible()
        shopper.add("shorts")
        shopper.page.goto("/cart")
        use_points(shopper, 500)
        shopper.keep("lan")
        shopper.fill_in_checkout()
        shopper.place_order()
        expect(shopper.page.get_by_text("You used 500 points.")).to_be_visible()


@contextmanager
def referral_offered(world: World) -> Iterator[None]:
    before = world.bridge.ask("GET", "/admin/dust/programme")
    rules = {name: value for name, value in before.items() if name not in {"version", "author", "created_at"}}
    bonuses = {**rules["bonuses"], "referral": {"referrer": 100, "referred": 50}}
    world.bridge.ask("PUT", "/admin/dust/programme", {**rules, "bonuses": bonuses})
    yield
    world.bridge.ask("PUT", "/admin/dust/programme", rules)


def test_a_code_typed_into_the_coupon_field(customer: Customer) -> None:
    shopper, page = customer.shopper, customer.shopper.page
    code = customer.world.redeem(customer.api, {"dust": 500, "currency_code": "eur"})["code"]
    page.goto("/cart")

    def enter(text: str) -> None:
        page.get_by_label("Code", exact=True).fill(text)
        page.get_by_role("button", name="Apply").click()

    enter("DUST-NO-SUCH-CODE")
    expect(page.get_by_text("This code is not valid for your cart")).to_be_visible()
    enter(code)
    expect(page.get_by_text("Code applied")).to_be_visible()
    expect(panel(shopper).get_by_text(f"Code {code}")).to_be_visible()
    shopper.keep("code-by-hand")
    panel(shopper).get_by_role("button", name="Remove: €5.00 off").click()
    expect(panel(shopper).get_by_text("Removed.")).to_be_visible()
    expect(page.get_by_text("Code applied")).to_have_count(0)
    assert customer.balance()["held"] == 0
    enter(code)
    expect(page.get_by_text("This code is not valid for your cart")).to_be_visible()


def test_a_connection_that_breaks_off_while_points_are_redeemed(customer: Customer) -> None:
    shopper, page = customer.shopper, customer.shopper.page
    page.goto("/cart")
    panel(shopper).get_by_label("How many points?").fill("500")

    def lose_the_answer(route: Route) -> None:
        route.fetch()
        page.context.set_offline(True)
        route.abort("internetdisconnected")

    page.route("**/cart", lose_the_answer, times=1)
    panel(shopper).get_by_role("button", name="Use 500 points").click()
    expect(panel(shopper).get_by_text("That did not work. Your points are safe")).to_be_visible()
    shopper.keep("offline")
    assert customer.balance()["held"] == 500
    page.context.set_offline(False)
    expect(panel(shopper).get_by_role("button", name="Remove: €5.00 off")).to_be_visible()
    expect(page.locator(".totals").get_by_text("-€5.00")).to_be_visible()
    shopper.forgive_lost_connections()
    shopper.fill_in_checkout()
    shopper.place_order()
