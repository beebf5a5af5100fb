"""The plugin's checkout guard in a real Medusa: who may not check out, with which words, and who may."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.demo.people import Merchant, Refused, Storefront
from bridge.demo.seed import SeededProduct, ShopKeys

pytestmark = pytest.mark.live


@pytest.fixture
def dust_only(merchant: Merchant, keys: ShopKeys) -> Iterator[SeededProduct]:
    """The mug, which only dust can buy for as long as a test lasts."""
    merchant.update_product(keys.mug, metadata={"dust_only": True, "dust_price": 500})
    yield keys.mug
    merchant.update_product(keys.mug, metadata={"dust_only": False})


def code_for_items(merchant: Merchant, customer_id: str, product: SeededProduct, quantity: int, **changes: Any) -> str:
    """A promotion as the bridge makes it for so many units of a product."""
    method = {
        "type": "percentage",
        "value": 100,
        "target_type": "items",
        "allocation": "once",
        "max_quantity": quantity,
        "target_rules": [{"attribute": "items.product.id", "operator": "in", "values": [product.id]}],
    }
    return _promotion(merchant, customer_id, method, **changes)


def code_for_money(merchant: Merchant, customer_id: str, euros: int, **changes: Any) -> str:
    """A promotion as the bridge makes it for a fixed discount."""
    method = {
        "type": "fixed",
        "value": euros,
        "target_type": "order",
        "allocation": "across",
        "currency_code": "eur",
    }
    return _promotion(merchant, customer_id, method, **changes)


def _promotion(merchant: Merchant, customer_id: str, method: dict[str, Any], **changes: Any) -> str:
    code = f"DUST-{secrets.token_hex(6).upper()}"
    body = {
        "code": code,
        "type": "standard",
        "status": "active",
        "is_automatic": False,
        "is_tax_inclusive": True,
        "limit": 1,
        "metadata": {"redemption_id": f"dred_{code}", "customer_id": customer_id},
        "rules": [{"attribute": "customer.id", "operator": "eq", "values": [customer_id]}],
        "application_method": method,
    }
    merchant.post("/admin/promotions", {**body, **changes})
    return code


def promotion_id(merchant: Merchant, code: str) -> str:
    return str(merchant.get("/admin/promotions", code=code)["promotions"][0]["id"])


def ready_cart(shopper: Storefront, product: SeededProduct, quantity: int, *codes: str) -> str:
    """A cart at which only "place order" is missing."""
    cart_id = shopper.new_cart()
    shopper.add(cart_id, product, quantity)
    for code in codes:
        cart = shopper.apply_code(cart_id, code)
        assert code in {promotion["code"] for promotion in cart["promotions"]}
    shopper.choose_shipping(cart_id)
    shopper.pay(cart_id)
    return cart_id


def assert_refused(shopper: Storefront, cart_id: str, message: str) -> None:
    """Refused with these words, and the cart is as it was."""
    before = shopper.cart(cart_id)
    with pytest.raises(Refused, match=message) as refused:
        shopper.complete(cart_id)
    assert refused.value.status == 400
    assert shopper.cart(cart_id) == before


def test_a_dust_only_product_is_not_sold_for_money(storefront: Storefront, dust_only: SeededProduct) -> None:
    cart_id = ready_cart(storefront, dust_only, 1)

    assert_refused(storefront, cart_id, "“Mug” can only be bought with dust")


def test_a_dust_only_product_is_sold_for_dust(
    storefront: Storefront, merchant: Merchant, dust_only: SeededProduct
) -> None:
    code = code_for_items(merchant, storefront.customer_id, dust_only, 2)

    order_id = storefront.complete(ready_cart(storefront, dust_only, 2, code))

    assert merchant.order(order_id)["item_total"] == 0


def test_dust_for_one_unit_does_not_pay_for_two(
    storefront: Storefront, merchant: Merchant, dust_only: SeededProduct
) -> None:
    code = code_for_items(merchant, storefront.customer_id, dust_only, 1)
    cart_id = ready_cart(storefront, dust_only, 2, code)

    assert_refused(storefront, cart_id, "Only 1 of 2 × “Mug” are paid with dust")


def test_a_discount_in_money_does_not_pay_for_a_dust_only_product(
    storefront: Storefront, merchant: Merchant, dust_only: SeededProduct
) -> None:
    code = code_for_money(merchant, storefront.customer_id, 100)
    cart_id = ready_cart(storefront, dust_only, 1, code)

    assert_refused(storefront, cart_id, "“Mug” can only be bought with dust")


def test_an_ordinary_code_does_not_pay_for_a_dust_only_product(
    storefront: Storefront, merchant: Merchant, dust_only: SeededProduct
) -> None:
    code = code_for_items(merchant, storefront.customer_id, dust_only, 1, metadata=None)
    cart_id = ready_cart(storefront, dust_only, 1, code)

    assert_refused(storefront, cart_id, "“Mug” can only be bought with dust")


def test_a_dust_only_product_without_a_price_is_not_given_away(
    storefront: Storefront, merchant: Merchant, dust_only: SeededProduct
) -> None:
    free = [{"currency_code": code, "amount": 0} for code in ("eur", "usd")]
    paid = [{"currency_code": code, "amount": dust_only.price} for code in ("eur", "usd")]
    variant = f"/admin/products/{dust_only.id}/variants/{dust_only.variant_id}"
    merchant.post(variant, {"prices": free})
    try:
        cart_id = ready_cart(storefront, dust_only, 1)
        assert_refused(storefront, cart_id, "“Mug” has no price")
    finally:
        merchant.post(variant, {"prices": paid})


def test_a_code_deleted_while_it_is_in_a_cart_is_refused_politely(
    storefront: Storefront, merchant: Merchant, keys: ShopKeys
) -> None:
    code = code_for_money(merchant, storefront.customer_id, 3)
    cart_id = ready_cart(storefront, keys.shirt, 1, code)
    merchant.delete(f"/admin/promotions/{promotion_id(merchant, code)}")

    with pytest.raises(Refused, match=f"The code {code} is no longer valid") as refused:
        storefront.complete(cart_id)
    assert refused.value.status == 400


def test_an_inactive_code_is_refused(storefront: Storefront, merchant: Merchant, keys: ShopKeys) -> None:
    code = code_for_money(merchant, storefront.customer_id, 3)
    cart_id = ready_cart(storefront, keys.shirt, 1, code)
    merchant.post(f"/admin/promotions/{promotion_id(merchant, code)}", {"status": "inactive"})

    assert_refused(storefront, cart_id, f"The code {code} is no longer valid")


def test_a_code_pays_in_one_of_two_carts(storefront: Storefront, merchant: Merchant, keys: ShopKeys) -> None:
    code = code_for_money(merchant, storefront.customer_id, 3)
    first, second = (ready_cart(storefront, keys.shirt, 1, code) for _ in range(2))

    storefront.complete(first)

    assert_refused(storefront, second, f"The code {code} has been used already")


def test_another_customers_code_is_refused(storefront: Storefront, merchant: Merchant, keys: ShopKeys) -> None:
    # Without Medusa's own rule on the customer, so that it is the guard that says no.
    code = code_for_money(merchant, "cus_somebody_else", 3, rules=[])
    cart_id = ready_cart(storefront, keys.shirt, 1, code)

    assert_refused(storefront, cart_id, f"The code {code} belongs to another customer")


def test_a_stranger_who_types_the_customers_email_cannot_spend_the_dust(
    storefront: Storefront, merchant: Merchant, keys: ShopKeys
) -> None:
    code = code_for_money(merchant, storefront.customer_id, 3)
    stranger = Storefront(keys)
    stranger.email = storefront.email
    cart_id = ready_cart(stranger, keys.shirt, 1, code)

    assert_refused(stranger, cart_id, "Please sign in to the account")

    stranger.close()


def test_asking_again_for_a_placed_order_gives_the_order(
    storefront: Storefront, merchant: Merchant, keys: ShopKeys
) -> None:
    code = code_for_money(merchant, storefront.customer_id, 3)
    cart_id = ready_cart(storefront, keys.shirt, 2, code)

    assert storefront.complete(cart_id) == storefront.complete(cart_id)


def test_a_guest_without_dust_checks_out_as_ever(merchant: Merchant, keys: ShopKeys) -> None:
    guest = Storefront(keys)
    guest.email = f"guest-{secrets.token_hex(6)}@example.com"

    order_id = guest.complete(ready_cart(guest, keys.shirt, 1))

    assert merchant.order(order_id)["customer"]["has_account"] is False
    guest.close()
