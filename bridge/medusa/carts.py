"""A Medusa cart, as read over the Store API (2.21.2)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from bridge.errors import InvalidInput, wrong_fields
from bridge.ids import CustomerId, ProductId
from bridge.medusa.amounts import Number, Quantity, sum_of
from bridge.medusa.answers import objects
from bridge.medusa.order_shapes import CustomerShape, ProductShape, PromotionShape, Shape, Text, category_ids

# Medusa drops `customer_id` alone, `customer.has_account` and `credit_lines.amount` (2.21.2, tried): it returns all of
# the customer, or the id and e-mail, and all of a credit line. Dust reads only what it needs of them. `item_total` is
# not read, but without a total of the cart Medusa computes none of its items either (tried). Medusa before 2.21
# computes totals only from the fields that a request names (tried on 2.13.6 and 2.18.0): hence prices, tax lines and
# adjustments.
CART_FIELDS = (
    "id,customer_id,customer.*,currency_code,completed_at,item_total,"
    "items.id,items.product_id,items.quantity,items.is_discountable,items.total,items.tax_total,items.adjustments.code,"
    "items.adjustments.amount,items.adjustments.is_tax_inclusive,items.unit_price,items.is_tax_inclusive,"
    "items.tax_lines.rate,items.product.categories.id,items.product.collection_id,customer.groups.id,"
    "promotions.code,credit_lines.*,shipping_methods.id,shipping_methods.total,shipping_methods.tax_total,"
    "shipping_methods.amount,shipping_methods.is_tax_inclusive,shipping_methods.tax_lines.rate,"
    "shipping_methods.adjustments.amount"
)


# The fields for the codes that a cart holds: its promotions (null for a deleted one), and what each code takes off.
CART_CODES_FIELDS = "id,completed_at,promotions.code,items.adjustments.code,shipping_methods.adjustments.code"


class UnreadableCart(InvalidInput):
    """The JSON is not a cart of the known shape."""

    code = "unreadable_cart"
    shopper_message = "Points cannot be used for this cart right now. Please ask the shop."


@dataclass(frozen=True, kw_only=True)
class CartLine:
    id: str
    product_id: ProductId | None
    quantity: Decimal
    """A whole number, or a weight such as 1.5."""
    net: Decimal
    gross: Decimal
    discounts: Mapping[str, Decimal]
    """What each code takes off this line; with tax if the promotion says so, as all of Dust's do."""
    category_ids: frozenset[str] = frozenset()
    collection_id: str | None = None
    discountable: bool = True
    """Whether promotions apply to it. Medusa leaves out lines of products that are not discountable (2.21.2)."""


@dataclass(frozen=True, kw_only=True)
class Cart:
    """A cart at one moment. Amounts in major units of `currency_code`.

    `shipping_gross` is None until a shipping method is chosen.
    """

    id: str
    customer_id: CustomerId | None
    has_account: bool
    """Whether its customer has an account, and is not just Medusa's record of a guest."""
    currency_code: str
    completed: bool
    lines: tuple[CartLine, ...]
    shipping_gross: Decimal | None
    shipping_tax: Decimal
    promotion_codes: frozenset[str]
    customer_group_ids: frozenset[str] = frozenset()
    credit: Decimal = Decimal(0)
    """What gift cards and store credit pay of it."""

    def due_without(self, products: Collection[ProductId]) -> Decimal:
        """Return what is left to pay, with tax, without the lines of these products.

        Only points pay for dust-only products, so the credit is for the other lines and the shipping.
        """
        lines = sum_of(line.gross for line in self.lines if line.product_id not in products)
        return max(Decimal(0), lines + (self.shipping_gross or Decimal(0)) - self.credit)


@dataclass(frozen=True, kw_only=True)
class CartCodes:
    """The codes that a cart holds at one moment.

    `dead` means that it links to a deleted promotion: Medusa returns null for it, and keeps its discount.
    """

    completed: bool
    codes: frozenset[str]
    dead: bool


class _Adjustment(Shape):
    code: Text | None = None
    amount: Number


class _Credit(Shape):
    amount: Number


class _Item(Shape):
    id: Text
    product_id: Text | None = None
    product: ProductShape | None = None
    quantity: Quantity
    is_discountable: bool | None = None
    total: Number
    tax_total: Number = Decimal(0)
    adjustments: tuple[_Adjustment, ...] | None = None


class _ShippingMethod(Shape):
    total: Number = Decimal(0)
    tax_total: Number = Decimal(0)


class _Customer(CustomerShape):
    id: Text


class _Cart(Shape):
    id: Text
    customer_id: Text | None = None
    customer: _Customer | None = None
    currency_code: Text
    completed_at: str | None = None
    items: tuple[_Item, ...] | None = None
    shipping_methods: tuple[_ShippingMethod, ...] | None = None
    promotions: tuple[PromotionShape | None, ...] | None = None
    credit_lines: tuple[_Credit | None, ...] | None = None


def read_cart(document: Mapping[str, Any]) -> Cart:
    """Read a cart. Raises `UnreadableCart`, which names the fields."""
    try:
        cart = _Cart.model_validate(document)
    except ValidationError as error:
        fields = wrong_fields(error)
        raise UnreadableCart(f"The cart cannot be read: {fields} missing or of the wrong kind.") from error
    owner = cart.customer_id or (cart.customer.id if cart.customer else None)
    return Cart(
        id=cart.id,
        customer_id=CustomerId(owner) if owner else None,
        has_account=bool(owner) and not (cart.customer is not None and cart.customer.has_account is False),
        currency_code=cart.currency_code.lower(),
        completed=cart.completed_at is not None,
        lines=tuple(
            CartLine(
                id=item.id,
                product_id=ProductId(item.product_id) if item.product_id else None,
                quantity=item.quantity,
                net=item.total - item.tax_total,
                gross=item.total,
                discounts=_discounts(item),
                category_ids=category_ids(item.product),
                collection_id=item.product.collection_id if item.product else None,
                discountable=item.is_discountable is not False,
            )
            for item in cart.items or ()
        ),
        shipping_gross=sum_of(method.total for method in cart.shipping_methods) if cart.shipping_methods else None,
        shipping_tax=sum_of(method.tax_total for method in cart.shipping_methods or ()),
        promotion_codes=frozenset(p.code for p in cart.promotions or () if p and p.code),
        customer_group_ids=frozenset(group.id for group in (cart.customer and cart.customer.groups) or ()),
        credit=sum_of(line.amount for line in cart.credit_lines or () if line),
    )


def read_cart_codes(document: Mapping[str, Any]) -> CartCodes:
    """Read the answer to a request with `CART_CODES_FIELDS`."""
    promotions = document.get("promotions")
    lines = [*objects(document.get("items")), *objects(document.get("shipping_methods"))]
    adjustments = [adjustment for line in lines for adjustment in objects(line.get("adjustments"))]
    return CartCodes(
        completed=document.get("completed_at") is not None,
        codes=frozenset(str(source["code"]) for source in (*objects(promotions), *adjustments) if source.get("code")),
        dead=isinstance(promotions, list) and None in promotions,
    )


def _discounts(item: _Item) -> dict[str, Decimal]:
    taken: dict[str, Decimal] = {}
    for adjustment in item.adjustments or ():
        if adjustment.code and adjustment.amount > 0:
            taken[adjustment.code] = taken.get(adjustment.code, Decimal(0)) + adjustment.amount
    return taken
