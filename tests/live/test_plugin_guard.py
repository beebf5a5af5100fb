"""The plugin's checkout guard in a real Medusa: which carts it refuses, with which messages, and which it accepts."""

import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from bridge.development.demo.people import Merchant, Refused, Storefront
from bridge.development.demo.seed import SeededProduct, ShopKeys
from bridge.development.stack.processes import until
from tests.support.live_carts import assert_refused, code_for_items, promotion_of_customer, ready_cart, shops_own_code
from tests.support.live_worlds import PATIENCE_SECONDS, region_takes
from tests.support.promotions import facts_in_medusa, owner_rule, write_facts

pytestmark = pytest.mark.live


@pytest.fixture
def dust_only(merchant: Merchant, keys: ShopKeys) -> Iterator[SeededProduct]:
    """The mug, which only points can buy during a test."""
    path = f"/admin/products/{keys.mug.id}"
    merchant.post(path, {"metadata": {"dust_only": True, "dust_price": 500}})
    yield keys.mug
    merchant.post(path, {"metadata": {"dust_only": False}})


def code_for_money(merchant: Merchant, customer_id: str, euros: int, **changes: Any) -> str:
    """A promotion as the bridge makes it for a fixed discount."""
    method = {
        "type": "fixed",
        "value": euros,
        "target_type": "order",
        "allocation": "across",
        "currency_code": "eur",
    }
    return promotion_of_customer(merchant, customer_id, method, **changes)


def promotion_id(merchant: Merchant, code: str) -> str:
    return str(merchant.get("/admin/promotions", code=code)["promotions"][0]["id"])


def test_a_dust_only_product_is_not_sold_for_money(storefront: Storefront, dust_only: SeededProduct) -> None:
    cart_id = ready_cart(storefront, dust_only, 1)

    assert assert_refused(storefront, cart_id, "“Mug” can only be bought with points") == "points_only"


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

    assert_refused(storefront, cart_id, "Only 1 of 2 × “Mug” are paid with points")


def test_a_discount_in_money_does_not_pay_for_a_dust_only_product(
    storefront: Storefront, merchant: Merchant, dust_only: SeededProduct
) -> None:
    code = code_for_money(merchant, storefront.customer_id, 100)
    cart_id = ready_cart(storefront, dust_only, 1, code)

    assert_refused(storefront, cart_id, "“Mug” can only be bought with points")


def test_an_ordinary_code_does_not_pay_for_a_dust_only_product(
    storefront: Storefront, merchant: Merchant, dust_only: SeededProduct
) -> None:
    code = code_for_items(merchant, storefront.customer_id, dust_only, 1, rules=[])
    cart_id = ready_cart(storefront, dust_only, 1, code)

    assert_refused(storefront, cart_id, "“Mug” can only be bought with points")


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


def test_a_code_deleted_while_it_is_in_a_cart_is_refused_with_a_message(
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
    # Medusa's own rule lets this customer use it, so that it is the guard that refuses.
    rule = {**owner_rule("cus_somebody_else", redemption_id="dred_1"), "values": [storefront.customer_id]}
    code = code_for_money(merchant, "cus_somebody_else", 3, rules=[rule])
    cart_id = ready_cart(storefront, keys.shirt, 1, code)

    assert_refused(storefront, cart_id, f"The code {code} belongs to another customer")


def test_a_stranger_who_types_the_customers_email_cannot_spend_the_dust(
    storefront: Storefront, merchant: Merchant, keys: ShopKeys
) -> None:
    code = code_for_money(merchant, storefront.customer_id, 3)
    stranger = Storefront(keys)
    stranger.email = storefront.email
    cart_id = stranger.new_cart()
    stranger.add(cart_id, keys.shirt)
    assert code in {promotion["code"] for promotion in stranger.apply_code(cart_id, code)["promotions"]}
    stranger.choose_shipping(cart_id)

    with pytest.raises(Refused, match="Please sign in to the account"):
        stranger.pay(cart_id)
    assert_refused(stranger, cart_id, "Please sign in to the account")

    stranger.close()


def test_asking_again_for_a_placed_order_gives_the_order(
    storefront: Storefront, merchant: Merchant, keys: ShopKeys
) -> None:
    code = code_for_money(merchant, storefront.customer_id, 3)
    cart_id = ready_cart(storefront, keys.shirt, 2, code)

    assert storefront.complete(cart_id) == storefront.complete(cart_id)


def test_a_guest_without_points_can_check_out(merchant: Merchant, keys: ShopKeys) -> None:
    guest = Storefront(keys)
    guest.email = f"guest-{secrets.token_hex(6)}@example.com"

    order_id = guest.complete(ready_cart(guest, keys.shirt, 1))

    assert merchant.order(order_id)["customer"]["has_account"] is False
    guest.close()


# The programme's share


def test_two_codes_made_without_a_cart_keep_the_share_together(
    storefront: Storefront, merchant: Merchant, keys: ShopKeys
) -> None:
    # A hoodie is 50.00 with tax.
    first, second = (code_for_money(merchant, storefront.customer_id, 25, max_share="0.5") for _ in range(2))
    cart_id = ready_cart(storefront, keys.hoodie, 1, first, second)

    assert_refused(storefront, cart_id, "Points take 50.00 EUR off this cart, and at most 25.00 EUR is allowed")

    storefront.ask("DELETE", f"/store/carts/{cart_id}/promotions", {"promo_codes": [second]})
    storefront.pay(cart_id)
    assert merchant.order(storefront.complete(cart_id))["item_total"] == 25


def test_the_shops_own_coupon_after_redeeming_makes_the_share_smaller(
    storefront: Storefront, merchant: Merchant, keys: ShopKeys
) -> None:
    code = code_for_money(merchant, storefront.customer_id, 25, max_share="0.5")
    cart_id = ready_cart(storefront, keys.hoodie, 1, code, shops_own_code(merchant, 25))

    assert storefront.cart(cart_id)["item_total"] == 0
    assert_refused(storefront, cart_id, "Points take 25.00 EUR off this cart, and at most 12.50 EUR is allowed")


# Every way to completion


@pytest.fixture
def webhook(keys: ShopKeys, merchant: Merchant) -> Iterator[None]:
    """During a test the shop accepts payments whose provider reports them by a webhook."""
    with region_takes(merchant, keys, "pp_webhook_test"):
        yield


def start_payment(shopper: Storefront, cart_id: str) -> str:
    """Begin to pay with the provider of the webhook; returns the payment session's id."""
    collection = shopper.ask("POST", "/store/payment-collections", {"cart_id": cart_id})["payment_collection"]
    path = f"/store/payment-collections/{collection['id']}/payment-sessions"
    sessions = shopper.ask("POST", path, {"provider_id": "pp_webhook_test"})["payment_collection"]["payment_sessions"]
    return str(sessions[0]["id"])


def report_payment(keys: ShopKeys, session_id: str) -> None:
    """Report a payment as the provider does: Medusa then completes the cart without a browser."""
    response = httpx.post(f"{keys.url}/hooks/payment/webhook_test", json={"session_id": session_id, "amount": 1})
    assert response.status_code == 200, response.text


def orders_of(merchant: Merchant, customer_id: str) -> list[str]:
    return [order["id"] for order in merchant.get("/admin/orders", customer_id=customer_id)["orders"]]


@pytest.mark.usefixtures("webhook")
def test_a_payment_webhook_completes_the_cart_that_the_owner_applied_the_code_to(
    storefront: Storefront, merchant: Merchant, keys: ShopKeys
) -> None:
    code = code_for_money(merchant, storefront.customer_id, 3)
    cart_id = ready_cart(storefront, keys.shirt, 1, code)
    assert facts_in_medusa(merchant, code)["cart_id"] == cart_id

    report_payment(keys, start_payment(storefront, cart_id))

    assert until(lambda: orders_of(merchant, storefront.customer_id), PATIENCE_SECONDS)
    [order_id] = orders_of(merchant, storefront.customer_id)
    assert merchant.order(order_id)["discount_total"] == 3


@pytest.mark.usefixtures("webhook")
def test_a_payment_webhook_does_not_complete_a_strangers_cart(
    storefront: Storefront, merchant: Merchant, keys: ShopKeys
) -> None:
    """The stranger knows a code and its owner's e-mail, and started the payment before the guard was installed."""
    code = code_for_money(merchant, storefront.customer_id, 3)
    cart_id = ready_cart(storefront, keys.shirt, 1, code)
    session_id = start_payment(storefront, cart_id)
    bound = facts_in_medusa(merchant, code)
    for binding in ({}, {"cart_id": "cart_of_the_owner"}):
        unbound = {name: value for name, value in bound.items() if name != "cart_id"}
        write_facts(merchant, code, {**unbound, **binding})

        report_payment(keys, session_id)

        assert not until(lambda: orders_of(merchant, storefront.customer_id), 5)
        assert not storefront.cart(cart_id).get("completed_at")
    # With the binding restored, the same report completes the cart: nothing else had prevented it.
    write_facts(merchant, code, bound)
    report_payment(keys, session_id)
    assert until(lambda: orders_of(merchant, storefront.customer_id), PATIENCE_SECONDS)


@pytest.mark.parametrize("way", ["promotions", "update", "create"])
def test_only_the_owners_own_request_binds_a_code(
    storefront: Storefront, merchant: Merchant, keys: ShopKeys, way: str
) -> None:
    code = code_for_money(merchant, storefront.customer_id, 3)
    stranger = Storefront(keys)
    stranger.email = storefront.email
    with_code = {"promo_codes": [code]}

    def apply(shopper: Storefront) -> str:
        if way == "create":
            variant = {"variant_id": keys.shirt.variant_id, "quantity": 1}
            cart = {"region_id": keys.region_ids["eur"], "email": shopper.email, "items": [variant], **with_code}
            return str(shopper.ask("POST", "/store/carts", cart)["cart"]["id"])
        cart_id = shopper.new_cart()
        shopper.add(cart_id, keys.shirt)
        shopper.ask("POST", f"/store/carts/{cart_id}" + "/promotions" * (way == "promotions"), with_code)
        return cart_id

    theirs = apply(stranger)
    assert code in {promotion["code"] for promotion in stranger.cart(theirs)["promotions"]}
    assert "cart_id" not in facts_in_medusa(merchant, code)
    for _ in range(2):
        cart_id = apply(storefront)
        assert facts_in_medusa(merchant, code)["cart_id"] == cart_id, "and it moves to another cart of the owner"
    assert apply(stranger) != cart_id
    assert facts_in_medusa(merchant, code)["cart_id"] == cart_id
    stranger.close()


def test_a_code_that_is_in_the_cart_already_is_bound_when_its_owner_places_the_order(
    storefront: Storefront, merchant: Merchant, keys: ShopKeys
) -> None:
    code = code_for_money(merchant, storefront.customer_id, 3)
    storefront.log_out()
    cart_id = storefront.new_cart()
    storefront.add(cart_id, keys.shirt)
    storefront.apply_code(cart_id, code)
    storefront.choose_shipping(cart_id)
    assert "cart_id" not in facts_in_medusa(merchant, code)
    with pytest.raises(Refused, match="Please sign in to the account"):
        storefront.pay(cart_id)

    storefront.log_in()
    storefront.pay(cart_id)
    assert facts_in_medusa(merchant, code)["cart_id"] == cart_id
    storefront.complete(cart_id)


def test_points_do_not_pay_for_a_product_whose_variants_differ_in_price(
    storefront: Storefront, merchant: Merchant, keys: ShopKeys
) -> None:
    like = merchant.get(f"/admin/products/{keys.shirt.id}", fields="id,sales_channels.id,shipping_profile.id")[
        "product"
    ]
    prices = {"Small": 12, "Large": 120}
    scarf = merchant.post(
        "/admin/products",
        {
            "title": "Scarf",
            "status": "published",
            "shipping_profile_id": like["shipping_profile"]["id"],
            "sales_channels": [{"id": channel["id"]} for channel in like["sales_channels"]],
            "options": [{"title": "Size", "values": list(prices)}],
            "variants": [
                {
                    "title": size,
                    "options": {"Size": size},
                    "manage_inventory": False,
                    "prices": [{"currency_code": "eur", "amount": price}],
                }
                for size, price in prices.items()
            ],
        },
    )["product"]
    small, large = (next(variant["id"] for variant in scarf["variants"] if variant["title"] == size) for size in prices)
    method = {
        "type": "percentage",
        "value": 100,
        "target_type": "items",
        "allocation": "once",
        "max_quantity": 1,
        "target_rules": [{"attribute": "items.product.id", "operator": "in", "values": [scarf["id"]]}],
    }
    code = promotion_of_customer(merchant, storefront.customer_id, method, max_share=None)
    cart_id = storefront.new_cart()
    storefront.ask("POST", f"/store/carts/{cart_id}/line-items", {"variant_id": large, "quantity": 1})
    storefront.apply_code(cart_id, code)
    storefront.choose_shipping(cart_id)
    storefront.pay(cart_id)

    assert_refused(storefront, cart_id, "The variants of “Scarf” have different prices")

    merchant.post(
        f"/admin/products/{scarf['id']}/variants/{small}", {"prices": [{"currency_code": "eur", "amount": 120}]}
    )
    storefront.complete(cart_id)
