"""Orders that are not placed yet, as `Order`: what a cart, or some products, would become."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from bridge.ids import CustomerId, OrderId, ProductId
from bridge.medusa.amounts import sum_of
from bridge.medusa.answers import objects
from bridge.medusa.carts import Cart
from bridge.medusa.exchanges import MoneyKept, money_kept
from bridge.medusa.order_lines import CodeUse, Line
from bridge.medusa.orders import Order, OrderDetail

_ALL = MoneyKept()


def future_order(
    order_id: OrderId,
    *,
    customer_id: CustomerId | None,
    currency_code: str,
    lines: tuple[Line, ...],
    customer_group_ids: frozenset[str] = frozenset(),
    now: datetime,
) -> Order:
    """Return an order that could be placed now, as it is once it is paid and completed: without shipping and codes.

    Amounts are in major units. Without a customer it is a guest's.
    """
    return Order(
        id=order_id,
        number=None,
        customer_id=customer_id,
        is_guest=customer_id is None,
        currency_code=currency_code,
        version=1,
        created_at=now,
        placed_at=now,
        updated_at=now,
        is_draft=False,
        canceled=False,
        paid=True,
        free=False,
        paid_share=Decimal(1),
        paid_share_without_credit=Decimal(1),
        paid_with_credit=Decimal(0),
        completed=True,
        lines=lines,
        shipping_uses=(),
        shipping_net=Decimal(0),
        shipping_gross=Decimal(0),
        promotion_codes=frozenset(),
        customer_group_ids=customer_group_ids,
        knows=frozenset(OrderDetail),
        money_kept=_ALL,
        money_kept_without_credit=_ALL,
        money_moved=Decimal(0),
        has_unpaid_exchange=False,
        # A guest enters an e-mail before the order. It is never stored from here.
        email="unknown",
    )


def line_of_product(
    product_id: ProductId | None,
    *,
    line_id: str,
    amount: Decimal,
    quantity: int = 1,
    attributes: Mapping[str, Any] | None = None,
) -> Line:
    """Return a line of a product that is in no cart.

    `amount` is the price of one unit as it is shown: whether it includes tax is not known, so it counts for both.
    `attributes` are Medusa's `collection_id` and `categories` of the product.
    """
    attributes, total = attributes or {}, amount * quantity
    return Line(
        id=line_id,
        product_id=product_id,
        category_ids=frozenset(str(category.get("id")) for category in objects(attributes.get("categories"))),
        collection_id=attributes.get("collection_id"),
        ordered=Decimal(quantity),
        units=Decimal(quantity),
        net=total,
        gross=total,
        code_uses=(),
    )


def order_of_cart(cart: Cart, *, now: datetime) -> Order:
    """Return the order that this cart would become if it were completed and paid now."""
    lines = tuple(
        Line(
            id=line.id,
            product_id=line.product_id,
            category_ids=line.category_ids,
            collection_id=line.collection_id,
            ordered=line.quantity,
            units=line.quantity,
            net=max(line.net, Decimal(0)),
            gross=max(line.gross, Decimal(0)),
            code_uses=tuple(CodeUse(code=code, amount=off, given=off) for code, off in line.discounts.items()),
        )
        for line in cart.lines
    )
    shipping = cart.shipping_gross or Decimal(0)
    total = sum_of(line.gross for line in lines) + shipping - cart.credit
    order = future_order(
        OrderId(cart.id),
        customer_id=cart.customer_id,
        currency_code=cart.currency_code,
        lines=lines,
        customer_group_ids=cart.customer_group_ids,
        now=now,
    )
    return replace(
        order,
        # Medusa gives the cart of a guest who enters an e-mail a customer without an account.
        is_guest=not cart.has_account,
        shipping_net=max(shipping - cart.shipping_tax, Decimal(0)),
        shipping_gross=max(shipping, Decimal(0)),
        promotion_codes=cart.promotion_codes,
        money_kept_without_credit=money_kept(total=total, not_kept=cart.credit, swapped_price=Decimal(0), money=total),
        cart_id=cart.id,
    )
