"""In a real shop, an order earns what the last quote of its cart said, under rules of every kind.

`FORECAST_CARTS=1000 make test-live ARGS=tests/live/test_forecasts.py` plays so many random carts in each shop.
"""

import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from bridge.development.demo.people import Json, Merchant, Storefront
from bridge.development.stack.processes import until
from tests.support.live_carts import shops_own_code
from tests.support.live_worlds import PATIENCE_SECONDS, World, in_both_shops

pytestmark = [pytest.mark.live, in_both_shops]

CARTS = int(os.environ.get("FORECAST_CARTS", "12"))
# After so many, one customer has met tiers and limits.
CARTS_OF_A_SHOPPER = 6
SHOPPERS_OF_A_BATCH = 6
AT_ONCE = 4
GIFT = 3_000
SHORTS_PRICE = 150


@pytest.fixture(scope="module")
def merchant(world: World) -> Iterator[Merchant]:
    person = Merchant(world.keys)
    yield person
    person.close()


@pytest.fixture(scope="module")
def group_id(merchant: Merchant) -> str:
    return str(merchant.post("/admin/customer-groups", {"name": f"friends {uuid4().hex[:6]}"})["customer_group"]["id"])


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """What rules can be about: the hoodie's category and the shorts' collection."""

    category_id: str
    collection_id: str


@pytest.fixture(scope="module")
def catalogue(world: World, merchant: Merchant) -> Iterator[Catalogue]:
    keys, mark = world.keys, uuid4().hex[:6]
    category = merchant.post("/admin/product-categories", {"name": f"Outdoor {mark}", "is_active": True})
    category_id = category["product_category"]["id"]
    merchant.post(f"/admin/product-categories/{category_id}/products", {"add": [keys.hoodie.id]})
    collection_id = merchant.post("/admin/collections", {"title": f"Basics {mark}"})["collection"]["id"]
    merchant.post(f"/admin/collections/{collection_id}/products", {"add": [keys.shorts.id]})
    yield Catalogue(category_id=category_id, collection_id=collection_id)
    merchant.delete(f"/admin/product-categories/{category_id}")
    merchant.delete(f"/admin/collections/{collection_id}")


SetRules = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module", autouse=True)
def set_rules(world: World, catalogue: Catalogue, group_id: str) -> Iterator[SetRules]:
    """Rules about a category, a collection, a group, a product, shipping, tiers, and limits. Changes some of them."""
    keys = world.keys
    before = world.bridge.ask("GET", "/admin/dust/programme")
    rules = {name: value for name, value in before.items() if name not in {"version", "author", "created_at"}}
    earn = {
        **rules["earn"],
        "rates": {"eur": "1.3"},
        "basis": {**rules["earn"]["basis"], "include_shipping": True},
        "excluded_collection_ids": [catalogue.collection_id],
        "fixed": [{"product_id": keys.mug.id, "dust": 40}],
        "multipliers": [
            {"name": "outdoor", "factor": "2.5", "category_ids": [catalogue.category_id]},
            {"name": "friends", "factor": "1.5", "customer_group_ids": [group_id]},
        ],
        "limits": {"per_order": 700, "per_day": 300, "per_customer": None},
    }
    levels = [{"name": "silver", "from": "300", "factor": "1.2"}]
    tiers = {"basis": "earned", "window_days": 365, "levels": levels}

    def put(changes: dict[str, Any]) -> None:
        changed = {**earn, **changes.get("earn", {})}
        world.bridge.ask("PUT", "/admin/dust/programme", {**rules, "tiers": tiers, **changes, "earn": changed})

    put({})
    world.bridge.ask("PUT", f"/admin/dust/products/{keys.shorts.id}", {"dust_only": False, "dust_price": SHORTS_PRICE})
    yield put
    world.bridge.ask("DELETE", f"/admin/dust/products/{keys.shorts.id}")
    world.bridge.ask("PUT", "/admin/dust/programme", rules)


def random_rules(chance: random.Random, catalogue: Catalogue, group_id: str) -> dict[str, Any]:
    """Changes of the rules that `set_rules` begins with."""
    some = [
        {"name": "outdoor", "factor": "2.5", "category_ids": [catalogue.category_id]},
        {"name": "basics", "factor": "0.7", "collection_ids": [catalogue.collection_id]},
        {"name": "friends", "factor": "1.5", "customer_group_ids": [group_id]},
    ]
    levels = [{"name": "silver", "from": "40", "factor": "1.2"}, {"name": "gold", "from": "150", "factor": "2"}]
    return {
        "earn": {
            "rates": {"eur": chance.choice(["1", "1.3", "0.37"])},
            "rounding": chance.choice(["floor", "half_up", "ceiling"]),
            "basis": {
                "include_tax": chance.random() < 0.5,
                "include_shipping": chance.random() < 0.5,
            },
            "excluded_collection_ids": chance.choice([[], [catalogue.collection_id]]),
            "multipliers": chance.sample(some, chance.randint(0, 3)),
            "limits": {
                "per_order": chance.choice([None, 60]),
                "per_day": chance.choice([None, 300]),
                "per_customer": chance.choice([None, {"dust": 200, "days": 7}]),
            },
        },
        "tiers": chance.choice(
            [
                {},
                {"basis": "earned", "levels": levels},
                {"basis": "spent", "currency_code": "eur", "levels": levels},
            ]
        ),
    }


@dataclass(frozen=True, kw_only=True)
class Buyer:
    """A shopper who places one random order after another."""

    world: World
    shopper: Storefront
    chance: random.Random
    coupon: str
    quotes: dict[str, Json] = field(default_factory=dict)
    """The last quote of each order's cart, by order."""

    def place_order(self) -> None:
        shopper, chance, keys = self.shopper, self.chance, self.world.keys
        products = [keys.shirt, keys.hoodie, keys.shorts, keys.mug]
        # Earlier orders of the customer count for tiers and limits, in the quote and in the order.
        self.wait_until_settled()
        cart_id = shopper.new_cart()
        chosen = chance.sample(products, chance.randint(1, 3)) if self.quotes else products
        for product in chosen:
            shopper.add(cart_id, product, chance.randint(1, 3))
        if chance.random() < 0.3:
            shopper.apply_code(cart_id, self.coupon)
        if chance.random() < 0.4:
            self.world.redeem(shopper, {"cart_id": cart_id, "dust": chance.randint(100, 250)})
        if keys.shorts in chosen and chance.random() < 0.3:
            items = [{"product_id": keys.shorts.id, "quantity": 1}]
            self.world.redeem(shopper, {"cart_id": cart_id, "items": items})
        shopper.choose_shipping(cart_id)
        quote = shopper.ask("POST", "/store/dust/quote", {"cart_id": cart_id})
        assert quote["earn"] == sum(part["dust"] for part in quote["breakdown"])
        shopper.pay(cart_id)
        self.quotes[shopper.complete(cart_id)] = quote

    def wait_until_settled(self) -> None:
        assert until(lambda: self.earned().keys() == self.quotes.keys(), PATIENCE_SECONDS), self.quotes.keys()

    def earned(self) -> dict[str, int]:
        """What each order that is settled has earned."""
        if not self.quotes:
            return {}
        path = "/store/dust/orders?" + urlencode([("order_id", order_id) for order_id in self.quotes])
        document = self.world.bridge.ask("GET", path, Authorization=f"Bearer {self.shopper.token}")
        return {order["order_id"]: order["earned"] for order in document["orders"]}

    def misses(self) -> list[str]:
        """The orders that earned something else than their last quote said."""
        self.wait_until_settled()
        return [
            f"{order_id} earned {earned}, its quote said {self.quotes[order_id]}"
            for order_id, earned in self.earned().items()
            if earned != self.quotes[order_id]["earn"]
        ]


def rule_names(quote: Json) -> set[str]:
    """The rules of a quote; multipliers of one line are named together."""
    return {name for part in quote["breakdown"] for name in part["rule"].split(" × ")}


@pytest.mark.timeout(300 + 10 * CARTS)
def test_each_order_earns_what_its_last_quote_said(
    world: World, merchant: Merchant, catalogue: Catalogue, group_id: str, set_rules: SetRules
) -> None:
    chance, coupon, started = random.Random(CARTS), shops_own_code(merchant, 3), datetime.now(UTC)
    shoppers = -(-CARTS // CARTS_OF_A_SHOPPER)
    quotes: list[Json] = []
    misses: list[str] = []
    for first in range(0, shoppers, SHOPPERS_OF_A_BATCH):
        if first:
            set_rules(random_rules(chance, catalogue, group_id))
        with ExitStack() as stack, ThreadPoolExecutor(AT_ONCE) as pool:
            buyers = []
            for number in range(first, min(first + SHOPPERS_OF_A_BATCH, shoppers)):
                shopper = stack.enter_context(world.shopper())
                world.bridge.give(shopper.customer_id, GIFT)
                if number % 2:
                    merchant.post(f"/admin/customer-groups/{group_id}/customers", {"add": [shopper.customer_id]})
                buyers.append(Buyer(world=world, shopper=shopper, chance=random.Random(number), coupon=coupon))
            for _ in range(CARTS_OF_A_SHOPPER):
                list(pool.map(Buyer.place_order, buyers))
            misses += chain(*pool.map(Buyer.misses, buyers))
            quotes += chain(*(buyer.quotes.values() for buyer in buyers))
        print(
            f"{len(quotes)} carts, {len(misses)} misses, {(datetime.now(UTC) - started).total_seconds():.0f} s",
            flush=True,
        )
    set_rules({})
    assert misses == []
    seen = set(chain(*map(rule_names, quotes)))
    assert {"rate", "shipping", "fixed points", "limit", "silver", "outdoor", "friends"} <= seen
    since = urlencode({"since": started.isoformat()})
    report = world.bridge.ask("GET", f"/admin/dust/reports/forecasts?{since}")
    assert (report["kept"], report["unexplained"]) == (len(quotes), 0), report


def test_products_forecast_for_a_page_what_they_earn(world: World) -> None:
    keys = world.keys
    items = [
        {"product_id": keys.shirt.id, "amount": "10.00"},
        {"product_id": keys.hoodie.id, "amount": "10.00", "quantity": 2},
        {"product_id": keys.shorts.id, "amount": "10.00"},
    ]
    wanted = {"currency_code": "eur", "items": items}
    predicted = world.bridge.ask("POST", "/store/dust/forecast", wanted)
    with world.shopper() as shopper:
        # By Medusa, for a customer who is in no group and no tier.
        assert shopper.ask("POST", "/store/dust/forecast", wanted) == predicted
    # 1.3 points per euro; the hoodie is in the category, the shorts in the collection that earns nothing.
    assert [item["earn"] for item in predicted["items"]] == [13, 65, 0]
    assert predicted["total"] == 78
