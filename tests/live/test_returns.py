"""Every way in which a real Medusa returns or changes an order, and the order's points after each step.

After each step the ledger must hold what a small formula makes of the Admin API's own figures: first by the webhook
alone, then still so after a reconcile has seen the order too.
"""

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from bridge.development.demo.people import Storefront
from bridge.development.demo.seed import SeededProduct
from bridge.development.stack.processes import until
from tests.support.aftersales import AfterSales
from tests.support.live_worlds import NOISE, PATIENCE_SECONDS, World, in_both_shops

pytestmark = [pytest.mark.live, in_both_shops]

GIFT = 1000


class Previewed(AfterSales):
    """The merchant, who previews the effect on points before a return, a refund or a cancel."""

    def __init__(self, world: World) -> None:
        super().__init__(world.keys)
        self.world = world
        self.previewed: int | None = None
        """The balance that the last preview announced."""

    def take_back(self, order_id: str, product: SeededProduct, quantity: int = 1) -> str:
        returns = [{"line_item_id": self.line(order_id, product)["id"], "quantity": quantity}]
        self.preview(order_id, {"returns": returns})
        return super().take_back(order_id, product, quantity)

    def refund(self, order_id: str, amount: str) -> None:
        self.preview(order_id, {"refund": amount})
        super().refund(order_id, amount)

    def cancel(self, order_id: str) -> None:
        self.preview(order_id, {"cancel": True})
        super().cancel(order_id)

    def before_confirming(self, order_id: str) -> None:
        self.preview(order_id, {"open_change": True})

    def preview(self, order_id: str, change: dict[str, Any]) -> None:
        answer = self.world.bridge.ask("POST", f"/admin/dust/orders/{order_id}/preview", change)
        self.previewed = answer["balance_after"]


@dataclass(kw_only=True)
class Story:
    """A customer with one order, in a programme of one point for a euro without tax."""

    world: World
    shopper: Storefront
    merchant: Previewed
    order_id: str = ""
    spent: int = 0
    discount: Decimal = Decimal(0)
    steps: list[int] = field(default_factory=list)

    def place(self, *items: tuple[Any, int], dust: int = 0) -> None:
        """Order these products. With `dust`, pay a part with points of two gifts."""
        code = None
        if dust:
            for gift in (dust - 100, GIFT - dust + 100):
                self.world.bridge.give(self.shopper.customer_id, gift)
            code = self.world.redeem(self.shopper, {"dust": dust, "currency_code": "eur"})["code"]
        self.order_id = self.shopper.buy(*items, code=code)
        self.spent, self.discount = dust, decimal(self.merchant.order(self.order_id)["discount_total"])
        self.check("order.placed")

    def check(self, event: str | None) -> int:
        """The balance is what it should be once the event was handled, and after a reconcile; returns it.

        `event` is None for what Medusa tells nobody: then only the reconcile can find it.
        """
        order = self.merchant.order(self.order_id)
        expected = self.expected(order)
        previewed, self.merchant.previewed = self.merchant.previewed, None
        assert previewed in {None, expected}
        if event:
            assert until(lambda: self.heard(order, event), PATIENCE_SECONDS), f"no {event} was handled"
            assert self.world.bridge.balance(self.shopper.customer_id) == expected, event
        # No further back than this order: other tests' orders are not looked at again after each step.
        self.world.bridge.ask("POST", "/admin/dust/reconcile", {"since": order["updated_at"]})
        assert until(lambda: self.heard(order, None), PATIENCE_SECONDS), "reconcile did not bring the newest facts"
        self.world.bridge.wait_for_balance(self.shopper.customer_id, expected)
        self.steps.append(expected)
        return expected

    def heard(self, order: dict[str, Any], event: str | None) -> bool:
        """Whether the order is settled with its present facts, and all its events of that type are handled."""
        with psycopg.connect(self.world.bridge.database) as connection:
            facts = connection.execute(
                "SELECT facts_version, facts_updated_at = %s::timestamptz FROM order_settlement WHERE order_id = %s",
                [order["updated_at"], order["id"]],
            ).fetchone()
            states = connection.execute(
                "SELECT state FROM webhook_event WHERE subject = %s AND source = 'webhook' AND type = %s",
                [order["id"], event],
            ).fetchall()
        return facts == (order["version"], True) and (event is None or {state for (state,) in states} == {"handled"})

    def expected(self, order: dict[str, Any]) -> int:
        """The expected balance by the Admin API: points for kept and paid goods, less points that are still spent."""
        gift = GIFT if self.spent else 0
        if order["status"] == "canceled":
            return gift
        goods = decimal(order["item_total"])
        total, credit = decimal(order["total"]), decimal(order["credit_line_total"])
        if self.swaps():
            # The customer owes what the order holds beyond what was paid, and what was forgiven was not paid either.
            goods -= max(total - decimal(order["summary"]["transaction_total"]), Decimal(0)) + credit
        elif credit:
            goods *= total / (total + credit)
        spent = Decimal(self.spent)
        if self.spent:
            spent *= decimal(order["discount_total"]) / self.discount
        untaxed = 1 - decimal(order["item_tax_total"]) / decimal(order["item_total"]) if goods else Decimal(0)
        return gift - math.ceil(spent - NOISE) + math.floor(goods * untaxed + NOISE)

    def swaps(self) -> bool:
        """Whether the order ever had an exchange or a claim with a replacement."""
        claims = self.merchant.get("/admin/claims", order_id=self.order_id)["claims"]
        exchanges = self.merchant.get("/admin/exchanges", order_id=self.order_id)["exchanges"]
        return bool(exchanges) or any(claim["type"] == "replace" for claim in claims)

    def lots(self) -> list[tuple[int, int]]:
        """The lots of the gifts: amount and remaining points."""
        query = (
            "SELECT amount, remaining FROM dust_lot"
            " WHERE customer_id = %s AND source_type <> 'order' ORDER BY created_at"
        )
        with psycopg.connect(self.world.bridge.database) as connection:
            return connection.execute(query, [self.shopper.customer_id]).fetchall()


def decimal(figure: float) -> Decimal:
    return Decimal(str(figure))


@pytest.fixture
def story(world: World) -> Iterator[Story]:
    with ExitStack() as stack:
        merchant = Previewed(world)
        stack.callback(merchant.close)
        yield Story(world=world, shopper=stack.enter_context(world.shopper()), merchant=merchant)


def test_partial_returns_one_after_another_and_their_refunds(story: Story) -> None:
    keys, merchant = story.world.keys, story.merchant
    story.place((keys.shirt, 3), (keys.hoodie, 1))
    merchant.deliver(story.order_id)
    for product in (keys.shirt, keys.shirt, keys.hoodie):
        merchant.take_back(story.order_id, product)
        story.check("order.return_received")
        merchant.even_out(story.order_id)
        story.check("payment.refunded")
    merchant.take_back(story.order_id, keys.shirt)
    story.check("order.return_received")
    kept = [{"shirt": 3, "hoodie": 1}, {"shirt": 2, "hoodie": 1}, {"shirt": 1, "hoodie": 1}, {"shirt": 1}, {}]
    first, *others, last = [story.world.earns(**units) for units in kept]
    # A refund of what came back changes nothing any more.
    assert story.steps == [first, *(worth for worth in others for _ in range(2)), last]


def test_spent_dust_comes_back_in_proportion_and_to_the_same_lots(story: Story) -> None:
    keys, merchant = story.world.keys, story.merchant
    story.place((keys.shirt, 2), (keys.shorts, 1), dust=500)
    # 400 and 600 were given; the older one is spent first.
    assert story.lots() == [(400, 0), (600, 500)]
    bought = story.world.earns(shirt=2, shorts=1, off="5")
    assert story.steps == [GIFT - 500 + bought]
    merchant.deliver(story.order_id)

    merchant.take_back(story.order_id, keys.shirt)
    story.check("order.return_received")
    # A quarter of the goods by price: a quarter of what was spent comes back.
    assert story.steps[-1] == GIFT - 375 + story.world.earns(shirt=1, shorts=1, off="3.75")
    merchant.take_back(story.order_id, keys.shorts)
    story.check("order.return_received")
    assert story.steps[-1] == GIFT - 125 + story.world.earns(shirt=1, off="1.25")
    merchant.take_back(story.order_id, keys.shirt)
    story.check("order.return_received")

    assert story.steps[-1] == GIFT
    assert story.lots() == [(400, 400), (600, 600)]


def test_a_refund_without_a_return_and_then_a_cancel(story: Story) -> None:
    keys, merchant = story.world.keys, story.merchant
    story.place((keys.shirt, 2), dust=500)
    merchant.capture(story.order_id)
    merchant.refund(story.order_id, "5")
    story.check("payment.refunded")
    merchant.refund(story.order_id, "3.20")
    story.check("payment.refunded")
    merchant.cancel(story.order_id)
    story.check("order.canceled")
    assert story.steps[0] == GIFT - 500 + story.world.earns(shirt=2, off="5")
    assert story.steps[0] > story.steps[1] > story.steps[2]
    assert story.lots() == [(400, 400), (600, 600)]


def test_an_order_that_is_canceled_before_it_is_paid(story: Story) -> None:
    keys, merchant = story.world.keys, story.merchant
    story.place((keys.shirt, 2), dust=500)
    merchant.cancel(story.order_id)
    story.check("order.canceled")
    assert story.steps == [GIFT - 500 + story.world.earns(shirt=2, off="5"), GIFT]
    assert story.lots() == [(400, 400), (600, 600)]


def test_order_edits_up_and_down(story: Story) -> None:
    keys, merchant = story.world.keys, story.merchant
    story.place((keys.shirt, 2), (keys.shorts, 1))
    merchant.edit(story.order_id, to=(keys.shirt, 3))
    story.check("order-edit.confirmed")
    merchant.edit(story.order_id, to=(keys.shirt, 1))
    story.check("order-edit.confirmed")
    merchant.edit(story.order_id, to=(keys.shorts, 0))
    story.check("order-edit.confirmed")
    merchant.edit(story.order_id, add=(keys.hoodie, 1))
    story.check("order-edit.confirmed")
    merchant.even_out(story.order_id)
    story.check("payment.captured")
    after = story.world.earns(shirt=1, hoodie=1)
    edits = [{"shirt": 2, "shorts": 1}, {"shirt": 3, "shorts": 1}, {"shirt": 1, "shorts": 1}, {"shirt": 1}]
    assert story.steps == [*(story.world.earns(**edit) for edit in edits), after, after]


def test_a_claim_that_is_refunded(story: Story) -> None:
    keys, merchant = story.world.keys, story.merchant
    story.place((keys.shirt, 2))
    merchant.deliver(story.order_id)
    merchant.claim(story.order_id, keys.shirt)
    story.check("order.claim_created")
    total = decimal(merchant.order(story.order_id)["total"])
    merchant.refund(story.order_id, f"{keys.shirt.gross()}")
    story.check("payment.refunded")
    # The refund is of goods and of shipping alike.
    kept = keys.shirt.net(2) * (1 - keys.shirt.gross() / total)
    assert story.steps == [*[story.world.earns(shirt=2)] * 2, math.floor(kept + NOISE)]


def test_a_claim_whose_item_comes_back(story: Story) -> None:
    keys, merchant = story.world.keys, story.merchant
    story.place((keys.shirt, 2))
    merchant.deliver(story.order_id)
    returned = merchant.claim(story.order_id, keys.shirt, returned=True)
    story.check("order.claim_created")
    merchant.receive(returned)
    story.check("order.return_received")
    merchant.even_out(story.order_id)
    story.check("payment.refunded")
    assert story.steps == [*[story.world.earns(shirt=2)] * 2, *[story.world.earns(shirt=1)] * 2]


def test_a_replacement_earns_nothing_of_its_own(story: Story) -> None:
    keys, merchant = story.world.keys, story.merchant
    story.place((keys.shirt, 2))
    merchant.deliver(story.order_id)
    merchant.claim(story.order_id, keys.shirt, replacement=keys.shirt)
    story.check("order.claim_created")
    merchant.forgive(story.order_id, f"{keys.shirt.gross()}")
    story.check(None)
    returned = merchant.claim(story.order_id, keys.shirt, replacement=keys.shirt, returned=True)
    story.check("order.claim_created")
    merchant.receive(returned)
    story.check("order.return_received")
    assert story.steps == [story.world.earns(shirt=2)] * 5


@pytest.mark.parametrize(
    ("bought", "wanted", "before_payment"),
    [
        ("shirt", "shirt", "shirt"),
        # What the hoodie costs more earns once it is paid.
        ("shirt", "hoodie", "shirt"),
        ("hoodie", "shirt", "shirt"),
    ],
    ids=["same", "dearer", "cheaper"],
)
def test_an_exchange(story: Story, bought: str, wanted: str, before_payment: str) -> None:
    keys, merchant = story.world.keys, story.merchant
    story.place((getattr(keys, bought), 1))
    merchant.deliver(story.order_id)
    returned = merchant.exchange(story.order_id, getattr(keys, bought), getattr(keys, wanted))
    story.check("order.exchange_created")
    merchant.receive(returned)
    story.check("order.return_received")
    merchant.even_out(story.order_id)
    story.check({"same": None, "dearer": "payment.captured", "cheaper": "payment.refunded"}[kind(bought, wanted)])
    worth = [story.world.earns(**{name: 1}) for name in (bought, bought, before_payment, wanted)]
    assert story.steps == worth


def kind(bought: str, wanted: str) -> str:
    return "same" if bought == wanted else "dearer" if wanted == "hoodie" else "cheaper"


def test_an_exchange_of_what_was_paid_with_dust_in_part(story: Story) -> None:
    keys, merchant = story.world.keys, story.merchant
    story.place((keys.shorts, 1), dust=500)
    assert story.steps == [GIFT - 500 + story.world.earns(shorts=1, off="5")]
    merchant.deliver(story.order_id)
    returned = merchant.exchange(story.order_id, keys.shorts, keys.shorts)
    story.check("order.exchange_created")
    merchant.receive(returned)
    # The points come back with the first pair. The second pair is paid with money: all but 5.00, then all.
    story.check("order.return_received")
    merchant.even_out(story.order_id)
    story.check("payment.captured")
    in_part, in_full = story.world.earns(shorts=1, off="5"), story.world.earns(shorts=1)
    assert story.steps[1:] == [GIFT - 500 + in_part, GIFT + in_part, GIFT + in_full]
    assert story.lots() == [(400, 400), (600, 600)]


def test_an_exchange_before_anything_was_captured_keeps_what_the_order_earned(story: Story) -> None:
    keys, merchant = story.world.keys, story.merchant
    story.place((keys.shirt, 1))
    merchant.fulfil(story.order_id)
    returned = merchant.exchange(story.order_id, keys.shirt, keys.shirt)
    bridge = story.world.bridge
    for step in (lambda: None, lambda: merchant.receive(returned), lambda: merchant.even_out(story.order_id)):
        step()
        order = merchant.order(story.order_id)
        assert until(lambda order=order: story.heard(order, None), PATIENCE_SECONDS)  # type: ignore[misc]
        assert bridge.balance(story.shopper.customer_id) == story.world.earns(shirt=1)


def test_a_payment_without_a_webhook_is_found(story: Story) -> None:
    keys, merchant = story.world.keys, story.merchant
    story.place((keys.shirt, 1))
    merchant.deliver(story.order_id)
    merchant.receive(merchant.exchange(story.order_id, keys.shirt, keys.hoodie))
    story.check("order.return_received")
    with story.world.shop.losing_events() as lost:
        merchant.even_out(story.order_id)
        assert until(lambda: lost(payments(merchant, story.order_id)[-1]), PATIENCE_SECONDS)
    story.check(None)
    assert story.steps == [*[story.world.earns(shirt=1)] * 2, story.world.earns(hoodie=1)]


def payments(merchant: AfterSales, order_id: str) -> list[str]:
    """The order's payments, oldest first: their ids are in the order of time."""
    collections = merchant.order(order_id)["payment_collections"]
    return sorted(payment["id"] for collection in collections for payment in collection["payments"])


def test_the_audit_is_clean(world: World) -> None:
    world.bridge.audit()
