"""The demo's shop is a real Medusa: it can be seeded twice, take orders, and restart."""

import jwt
import pytest

from bridge.development.demo.people import Merchant, Storefront
from bridge.development.demo.seed import ShopKeys, seed
from bridge.development.demo.shop import Shop

pytestmark = pytest.mark.live


def test_seeding_twice_changes_nothing_but_the_secret_key(shop: Shop, keys: ShopKeys) -> None:
    again = seed(shop)

    unchanged = set(ShopKeys.__dataclass_fields__) - {"api_key"}
    assert {name: getattr(again, name) for name in unchanged} == {name: getattr(keys, name) for name in unchanged}
    assert again.api_key != keys.api_key


def test_a_shoppers_token_is_signed_with_the_secret_that_dust_is_given(storefront: Storefront, shop: Shop) -> None:
    claims = jwt.decode(storefront.token, shop.environment["JWT_SECRET"], algorithms=["HS256"])

    assert claims["actor_type"] == "customer"
    assert claims["actor_id"] == storefront.customer_id


def test_an_order_goes_from_cart_to_refund(storefront: Storefront, merchant: Merchant, keys: ShopKeys) -> None:
    order_id = storefront.buy((keys.shirt, 2), (keys.hoodie, 1))
    placed = merchant.order(order_id)
    assert (placed["item_total"], placed["item_tax_total"]) == (75, 15)

    merchant.capture(order_id)
    merchant.fulfil(order_id)
    merchant.take_back(order_id, keys.shirt, 1)
    merchant.refund(order_id, "12.50")

    refunded = merchant.order(order_id)
    assert (refunded["item_total"], refunded["item_tax_total"]) == (62.5, 12.5)
    assert refunded["summary"]["refunded_total"] == 12.5
    assert refunded["returns"][0]["status"] == "received"


def test_an_order_can_be_canceled(storefront: Storefront, merchant: Merchant, keys: ShopKeys) -> None:
    order_id = storefront.buy((keys.shorts, 1))

    merchant.cancel(order_id)

    assert merchant.order(order_id)["status"] == "canceled"
