"""Carts and codes in a real Medusa, for the live tests."""

import secrets
from typing import Any

import pytest

from bridge.development.demo.people import Merchant, Refused, Storefront
from bridge.development.demo.seed import SeededProduct
from tests.support.promotions import owner_rule


def code_for_items(merchant: Merchant, customer_id: str, product: SeededProduct, quantity: int, **changes: Any) -> str:
    """A promotion as the bridge makes it for this many units of a product."""
    method = {
        "type": "percentage",
        "value": 100,
        "target_type": "items",
        "allocation": "once",
        "max_quantity": quantity,
        "target_rules": [{"attribute": "items.product.id", "operator": "in", "values": [product.id]}],
    }
    return promotion_of_customer(merchant, customer_id, method, **{"max_share": None, **changes})


def promotion_of_customer(
    merchant: Merchant, customer_id: str, method: dict[str, Any], *, max_share: str | None = "1", **changes: Any
) -> str:
    code = f"DUST-{secrets.token_hex(6).upper()}"
    body = {
        "code": code,
        "type": "standard",
        "status": "active",
        "is_automatic": False,
        "is_tax_inclusive": True,
        "limit": 1,
        "rules": [owner_rule(customer_id, redemption_id=f"dred_{code}", max_share=max_share)],
        "application_method": method,
    }
    merchant.post("/admin/promotions", {**body, **changes})
    return code


def ready_cart(shopper: Storefront, product: SeededProduct, quantity: int, *codes: str) -> str:
    """A cart that is ready to be ordered."""
    cart_id = shopper.new_cart()
    shopper.add(cart_id, product, quantity)
    for code in codes:
        cart = shopper.apply_code(cart_id, code)
        assert code in {promotion["code"] for promotion in cart["promotions"]}
    shopper.choose_shipping(cart_id)
    shopper.pay(cart_id)
    return cart_id


def set_quantity(shopper: Storefront, cart_id: str, product: SeededProduct, quantity: int) -> None:
    """Change the quantity of a product in the cart."""
    line = next(line for line in shopper.cart(cart_id)["items"] if line["product_id"] == product.id)
    shopper.ask("POST", f"/store/carts/{cart_id}/line-items/{line['id']}", {"quantity": quantity})


def assert_refused(shopper: Storefront, cart_id: str, message: str) -> str | None:
    """Assert that the action is refused with this message and the cart is unchanged. Returns the error's code."""
    before = shopper.cart(cart_id)
    with pytest.raises(Refused, match=message) as refused:
        shopper.complete(cart_id)
    assert refused.value.status == 400
    assert shopper.cart(cart_id) == before
    return refused.value.code


def shops_own_code(merchant: Merchant, value: int, *, kind: str = "fixed") -> str:
    """A coupon of the shop's own over `value` euros, or percent with the kind `percentage`."""
    code = f"SUMMER-{secrets.token_hex(6).upper()}"
    method = {"type": kind, "value": value, "target_type": "order", "allocation": "across", "currency_code": "eur"}
    body = {"code": code, "type": "standard", "status": "active", "is_automatic": False, "is_tax_inclusive": True}
    merchant.post("/admin/promotions", {**body, "application_method": method})
    return code
