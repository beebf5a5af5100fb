"""Points-only products that a merchant sells for money without the checkout: Dust reports them to the operator."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

from bridge.development.demo.people import Storefront
from bridge.development.demo.seed import SeededProduct, ShopKeys
from bridge.development.stack.processes import until
from tests.support.aftersales import AfterSales
from tests.support.dashboard import keep_checked
from tests.support.live_worlds import PATIENCE_SECONDS, World

pytestmark = pytest.mark.live


@dataclass(frozen=True, kw_only=True)
class Counter:
    """The merchant, who takes orders of a customer by telephone."""

    merchant: AfterSales
    customer: Storefront
    keys: ShopKeys

    def draft_order(self) -> str:
        """Make a draft order and convert it. Returns the order's id."""
        order_id = self.merchant.draft(self.customer, (self.keys.shirt, 1), (self.keys.mug, 1))
        self.merchant.place_draft(order_id)
        return order_id

    def order_edit(self) -> str:
        """A mug is added to an order that is placed."""
        order_id = self.customer.buy((self.keys.shirt, 1))
        self.merchant.edit(order_id, add=(self.keys.mug, 1))
        return order_id

    def exchange(self) -> str:
        """A mug is sent for a shirt that comes back."""
        order_id = self.customer.buy((self.keys.shirt, 1))
        self.merchant.deliver(order_id)
        self.merchant.exchange(order_id, self.keys.shirt, self.keys.mug)
        return order_id

    def claim(self) -> str:
        """A mug replaces a shirt that was broken."""
        order_id = self.customer.buy((self.keys.shirt, 1))
        self.merchant.deliver(order_id)
        self.merchant.claim(order_id, self.keys.shirt, replacement=self.keys.mug)
        return order_id


WAYS = [Counter.draft_order, Counter.order_edit, Counter.exchange, Counter.claim]


@pytest.fixture
def mug(world: World) -> Iterator[SeededProduct]:
    """The mug, which only points can buy."""
    world.bridge.ask("PUT", f"/admin/dust/products/{world.keys.mug.id}", {"dust_only": True, "dust_price": 300})
    yield world.keys.mug
    world.bridge.ask("DELETE", f"/admin/dust/products/{world.keys.mug.id}")


@pytest.fixture
def counter(world: World, mug: SeededProduct) -> Iterator[Counter]:
    with world.shopper() as customer:
        merchant = AfterSales(world.keys)
        yield Counter(merchant=merchant, customer=customer, keys=world.keys)
        merchant.close()


def unpaid(world: World) -> list[str]:
    return list(world.bridge.ask("GET", "/admin/dust/overview")["unpaid_orders"])


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_webhook_reports_it_and_a_merchant_can_fix_it(
    world: World, counter: Counter, way: Callable[[Counter], str]
) -> None:
    order_id = way(counter)

    assert until(lambda: order_id in unpaid(world), PATIENCE_SECONDS), unpaid(world)
    mugs = [item for item in counter.merchant.order(order_id)["items"] if item["product_id"] == world.keys.mug.id]
    assert [item["quantity"] for item in mugs] == [1]
    if way in (Counter.draft_order, Counter.order_edit):
        counter.merchant.edit(order_id, to=(world.keys.mug, 0))
        assert until(lambda: order_id not in unpaid(world), PATIENCE_SECONDS)


def test_reconcile_finds_what_no_webhook_delivered(world: World, counter: Counter) -> None:
    with world.shop.losing_events() as lost:
        order_id = counter.draft_order()
        assert until(lambda: lost(order_id), PATIENCE_SECONDS)
    assert order_id not in unpaid(world)

    world.bridge.ask("POST", "/admin/dust/reconcile", {})

    assert until(lambda: order_id in unpaid(world), PATIENCE_SECONDS)


def test_the_operator_sees_it_on_the_dust_page(world: World, counter: Counter, dashboard: Page) -> None:
    order_id = counter.order_edit()
    assert until(lambda: order_id in unpaid(world), PATIENCE_SECONDS)

    dashboard.goto("/app/dust")

    number = counter.merchant.order(order_id)["display_id"]
    expect(dashboard.get_by_text("they are not paid with points")).to_be_visible()
    expect(dashboard.get_by_role("link", name=f"#{number}", exact=True)).to_be_visible()
    keep_checked(dashboard, "past-the-checkout")
    dashboard.get_by_role("link", name=f"#{number}", exact=True).click()
    expect(dashboard).to_have_url(f"{world.shop.url}/app/orders/{order_id}")
    # The merchant can remove the mug again, or leave it if that was on purpose.
    counter.merchant.edit(order_id, to=(world.keys.mug, 0))
    assert until(lambda: order_id not in unpaid(world), PATIENCE_SECONDS)
