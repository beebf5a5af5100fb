"""In a real shop, an order earns what the last quote of its cart said, under rules of every kind."""

import random
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from bridge.development.demo.people import Merchant
from tests.support.live_worlds import World, in_both_shops

pytestmark = [pytest.mark.live, in_both_shops]

CARTS = 6


@pytest.fixture(scope="module")
def merchant(world: World) -> Iterator[Merchant]:
    person = Merchant(world.keys)
    yield person
    person.close()


@pytest.fixture(scope="module")
def group_id(merchant: Merchant) -> str:
    return str(merchant.post("/admin/customer-groups", {"name": f"friends {uuid4().hex[:6]}"})["customer_group"]["id"])


@pytest.fixture(scope="module", autouse=True)
def programme(world: World, merchant: Merchant, group_id: str) -> Iterator[None]:
    """Rules about a category, a collection, a group, a product, shipping, tiers, and limits."""
    keys, mark = world.keys, uuid4().hex[:6]
    category = merchant.post("/admin/product-categories", {"name": f"Outdoor {mark}", "is_active": True})
    category_id = category["product_category"]["id"]
    merchant.post(f"/admin/product-categories/{category_id}/products", {"add": [keys.hoodie.id]})
    collection_id = merchant.post("/admin/collections", {"title": f"Basics {mark}"})["collection"]["id"]
    merchant.post(f"/admin/collections/{collection_id}/products", {"add": [keys.shorts.id]})
    before = world.bridge.ask("GET", "/admin/dust/programme")
    rules = {name: value for name, value in before.items() if name not in {"version", "author", "created_at"}}
    earn = {
        **rules["earn"],
        "rates": {"eur": "1.3"},
        "basis": {**rules["earn"]["basis"], "include_shipping": True},
        "excluded_collection_ids": [collection_id],
        "fixed": [{"product_id": keys.mug.id, "dust": 40}],
        "multipliers": [
            {"name": "outdoor", "factor": "2.5", "category_ids": [category_id]},
            {"name": "friends", "factor": "1.5", "customer_group_ids": [group_id]},
        ],
        "limits": {"per_order": 700, "per_day": 300, "per_customer": None},
    }
    levels = [{"name": "silver", "from": "300", "factor": "1.2"}]
    tiers = {"basis": "earned", "window_days": 365, "levels": levels}
    world.bridge.ask("PUT", "/admin/dust/programme", {**rules, "earn": earn, "tiers": tiers})
    yield
    world.bridge.ask("PUT", "/admin/dust/programme", rules)
    merchant.delete(f"/admin/product-categories/{category_id}")
    merchant.delete(f"/admin/collections/{collection_id}")


def rule_names(quote: dict[str, Any]) -> set[str]:
    """The rules of a quote; multipliers of one line are named together."""
    return {name for part in quote["breakdown"] for name in part["rule"].split(" × ")}


@pytest.mark.parametrize("is_friend", [False, True])
def test_each_order_earns_what_its_last_quote_said(
    world: World, merchant: Merchant, group_id: str, is_friend: bool
) -> None:
    keys, chance = world.keys, random.Random(f"{is_friend}")
    products, seen = [keys.shirt, keys.hoodie, keys.shorts, keys.mug], set()
    with world.shopper() as shopper:
        if is_friend:
            merchant.post(f"/admin/customer-groups/{group_id}/customers", {"add": [shopper.customer_id]})
        gift = 1000
        world.bridge.give(shopper.customer_id, gift)
        balance = gift
        for number in range(CARTS):
            cart_id = shopper.new_cart()
            for product in products if number == 0 else chance.sample(products, chance.randint(1, 3)):
                shopper.add(cart_id, product, chance.randint(1, 3))
            spent = 0
            if number % 2:
                spent = world.redeem(shopper, {"cart_id": cart_id, "dust": 100})["dust"]
            shopper.choose_shipping(cart_id)
            quote = shopper.ask("POST", "/store/dust/quote", {"cart_id": cart_id})
            assert quote["earn"] == sum(part["dust"] for part in quote["breakdown"])
            seen |= rule_names(quote)
            shopper.pay(cart_id)
            shopper.complete(cart_id)
            balance += quote["earn"] - spent
            world.bridge.wait_for_balance(shopper.customer_id, balance)
    assert {"rate", "shipping", "fixed points", "limit", "silver", "outdoor", *["friends"] * is_friend} <= seen


def test_products_forecast_for_a_page_what_they_earn(world: World) -> None:
    keys = world.keys
    items = [
        {"product_id": keys.shirt.id, "amount": "10.00"},
        {"product_id": keys.hoodie.id, "amount": "10.00", "quantity": 2},
        {"product_id": keys.shorts.id, "amount": "10.00"},
    ]
    wanted = {"currency_code": "eur", "items": items}
    found = world.bridge.ask("POST", "/store/dust/forecast", wanted)
    with world.shopper() as shopper:
        # By Medusa, for a customer who is in no group and no tier.
        assert shopper.ask("POST", "/store/dust/forecast", wanted) == found
    # 1.3 points per euro; the hoodie is in the category, the shorts in the collection that earns nothing.
    assert [item["earn"] for item in found["items"]] == [13, 65, 0]
    assert found["total"] == 78
