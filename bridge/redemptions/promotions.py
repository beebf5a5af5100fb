"""Request bodies for /admin/promotions, for each kind of redemption. Every field was tried with Medusa 2.21.2."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import assert_never

from bridge.ids import ProductId
from bridge.medusa.amounts import plain_text
from bridge.medusa.client import Json
from bridge.medusa.currencies import smallest_unit
from bridge.redemptions.repository import Code, Redemption
from bridge.redemptions.tables import RedemptionKind


def promotion_body(
    redemption: Redemption, code: Code, dust_only: Sequence[ProductId] = (), *, max_share: Decimal = Decimal(1)
) -> Json:
    """Return the request body for one code's promotion.

    `dust_only` are products that no discount may touch: points pay for their units. `max_share` comes from the
    programme version that the redemption was made with.
    """
    return {
        "code": code.code,
        "type": "standard",
        "status": "active",
        "is_automatic": False,
        "is_tax_inclusive": True,  # else 5.00 would take 6.25 off at 25 % tax
        "limit": 1,  # counted under a lock at completion: one order in total
        "rules": _rules(redemption, max_share),
        "application_method": _method(redemption, code, dust_only),
    }


def _facts(redemption: Redemption, max_share: Decimal) -> str:
    """Return the facts for the plugin's checkout guard, as JSON, because the guard does not call the bridge.

    They are stored in the description of a rule, since Medusa before 2.21.0 refuses metadata on promotions. `cart_id`
    binds the code to its cart. For a code redeemed without a cart, the plugin writes `cart_id` when the signed-in owner
    applies the code.
    """
    facts: Json = {
        "redemption_id": redemption.id,
        "customer_id": redemption.customer_id,
        "expires_at": redemption.expires_at.isoformat(),
    }
    if redemption.cart_id is not None:
        facts["cart_id"] = redemption.cart_id
    if redemption.kind.counts_for_share:
        facts["max_share"] = plain_text(max_share)
    if redemption.min_cart is not None and redemption.reward_id:
        facts["min_cart"] = plain_text(redemption.min_cart)
    return json.dumps(facts, separators=(",", ":"))


def _rules(redemption: Redemption, max_share: Decimal) -> list[Json]:
    """Return the conditions of the code.

    Medusa checks them at every change of the cart, and drops the code if one fails.
    """
    owner = {**_rule("customer.id", "eq", redemption.customer_id), "description": _facts(redemption, max_share)}
    rules: list[Json] = [owner]
    if redemption.min_cart is not None:
        # With tax, before any discount: a cart that met the minimum at the redemption meets it here. Medusa counts
        # points-only lines too; the checkout guard does not.
        min_cart = redemption.min_cart
        if redemption.reward_id and redemption.currency_code:
            # The minimum counts as shown, and Medusa compares the exact total: 59.9998 is shown as 60.00.
            min_cart -= smallest_unit(redemption.currency_code) / 2
        rules.append(_rule("original_item_total", "gte", plain_text(min_cart)))
    if redemption.currency_code and redemption.kind is not RedemptionKind.FIXED and redemption.value is None:
        rules.append(_rule("currency_code", "eq", redemption.currency_code))
    return rules


def _method(redemption: Redemption, code: Code, dust_only: Sequence[ProductId]) -> Json:
    match redemption.kind:
        case RedemptionKind.FIXED:
            return {**_fixed(redemption, code), **_ordinary_lines(dust_only)}
        case RedemptionKind.PERCENTAGE if code.value is not None:
            return {**_fixed(redemption, code), **_ordinary_lines(dust_only)}
        case RedemptionKind.PERCENTAGE:
            percent = float(redemption.percent or 0)
            return {"type": "percentage", "value": percent, "allocation": "across", **_ordinary_lines(dust_only)}
        case RedemptionKind.FREE_SHIPPING if code.value is not None:
            return {**_fixed(redemption, code), "target_type": "shipping_methods"}
        case RedemptionKind.FREE_SHIPPING:
            # Redeemed before free shipping had a limit.
            return {"type": "percentage", "value": 100, "target_type": "shipping_methods", "allocation": "across"}
        case RedemptionKind.PRODUCTS | RedemptionKind.FREE_PRODUCT:
            return {
                "type": "percentage",
                "value": 100,
                "target_type": "items",
                "allocation": "once",  # `each` would count for every line: two variants would both be free
                "max_quantity": code.quantity,
                "target_rules": [_rule("items.product.id", "in", str(code.product_id))],
            }
    assert_never(redemption.kind)


def _fixed(redemption: Redemption, code: Code) -> Json:
    return {
        "type": "fixed",
        "value": float(code.value or 0),  # JSON has one kind of number; the value has at most six places
        "allocation": "across",
        "currency_code": redemption.currency_code,  # without one, or in upper case, it is for every currency or none
    }


def _ordinary_lines(dust_only: Sequence[ProductId]) -> Json:
    """Target all lines without points-only products.

    Medusa refuses target rules for the target `order`, so it is `items`.
    """
    if not dust_only:
        return {"target_type": "order"}
    return {"target_type": "items", "target_rules": [_rule("items.product.id", "ne", *dust_only)]}


def _rule(attribute: str, operator: str, *values: str) -> Json:
    return {"attribute": attribute, "operator": operator, "values": list(values)}
