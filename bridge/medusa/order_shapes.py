"""Pydantic models of an order as Medusa sends it, and the fields to request.

Source: `GET /admin/orders/:id?fields=ORDER_FIELDS` of Medusa 2.21.2; a webhook's snapshot has the same shape.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from bridge.medusa.amounts import Number, Quantity
from bridge.medusa.times import StorableTime

# `items.*`, `shipping_methods.*` and the tax lines are for Medusa before 2.21, which computes totals and quantities
# only from the fields that a request names (tried on 2.13.6 and 2.18.0). `shipping_methods.*` contains `detail`; 2.13.6
# answers a request for `shipping_methods.detail.*` with 500.
ORDER_FIELDS = ",".join((
    "id,display_id,status,version,created_at,updated_at,canceled_at,currency_code,customer_id,email,is_draft_order",
    "payment_status,fulfillment_status,customer.id,customer.has_account,customer.groups.id,region_id",
    "total,subtotal,tax_total,item_total,item_subtotal,item_tax_total",
    "discount_total,discount_subtotal,discount_tax_total,shipping_total,shipping_subtotal,shipping_tax_total",
    "original_item_total,original_item_subtotal,credit_line_total,credit_lines.*,summary.*,metadata",
    "items.id,items.title,items.product_id,items.variant_id,items.variant_sku,items.quantity,items.unit_price",
    "items.is_tax_inclusive,items.total,items.subtotal,items.tax_total,items.discount_total,items.discount_subtotal",
    "items.metadata,items.detail.*,items.adjustments.*,items.product.categories.id,items.product.collection_id",
    "items.created_at,items.return_received_total,items.return_dismissed_total,items.*,items.tax_lines.rate",
    "shipping_methods.id,shipping_methods.total,shipping_methods.tax_total,shipping_methods.discount_total",
    "shipping_methods.adjustments.*,shipping_methods.*,shipping_methods.tax_lines.rate,promotions.id,promotions.code",
    "payment_collections.id,payment_collections.status,payment_collections.amount",
    "payment_collections.authorized_amount,payment_collections.captured_amount",
    "payment_collections.refunded_amount,payment_collections.payments.id",
    "payment_collections.payments.amount,payment_collections.payments.captured_at",
    "payment_collections.payments.refunds.*,transactions.*",
    "returns.id,returns.status,returns.refund_amount,returns.received_at,returns.items.*",
    "returns.exchange_id,returns.claim_id,cart.id",
))  # fmt: skip
"""The `fields` query for snapshots in webhooks, which the bridge uses itself when it fetches an order."""


class Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


# Postgres cannot store NUL: it would break the batch with this order.
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
# Indexed: Postgres refuses a text of several thousand characters in an index.
IndexedId = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=255)]


class AdjustmentShape(Shape):
    code: Text | None = None
    amount: Number
    is_tax_inclusive: bool | None = None
    subtotal: Number | None = None
    total: Number | None = None


class CategoryShape(Shape):
    id: Text


class ProductShape(Shape):
    categories: tuple[CategoryShape, ...] | None = None
    collection_id: Text | None = None


def category_ids(product: ProductShape | None) -> frozenset[str]:
    return frozenset(category.id for category in (product and product.categories) or ())


class DetailShape(Shape):
    written_off_quantity: Quantity | None = None
    return_received_quantity: Quantity | None = None
    return_dismissed_quantity: Quantity | None = None
    """Units that came back damaged.

    Medusa takes these off the totals too, and also counts them as written off (2.21.2).
    """

    @property
    def came_back(self) -> Decimal:
        return (self.return_received_quantity or Decimal(0)) + (self.return_dismissed_quantity or Decimal(0))


class ItemShape(Shape):
    id: Text
    created_at: AwareDatetime | None = None
    product_id: Text | None = None
    product: ProductShape | None = None
    unit_price: Number = Decimal(0)
    quantity: Quantity = Decimal(0)
    detail: DetailShape | None = None
    total: Number
    subtotal: Number
    tax_total: Number
    discount_total: Number | None = None
    is_tax_inclusive: bool = False
    return_received_total: Number | None = None
    return_dismissed_total: Number | None = None
    adjustments: tuple[AdjustmentShape, ...] | None = None


class ShippingDetailShape(Shape):
    """The purpose of a shipping method. All three are null for the shipping of the order itself."""

    return_id: Text | None = None
    exchange_id: Text | None = None
    claim_id: Text | None = None


class ShippingMethodShape(Shape):
    total: Number | None = None
    tax_total: Number | None = None
    created_at: AwareDatetime | None = None
    detail: ShippingDetailShape | None = None
    discount_total: Number | None = None
    adjustments: tuple[AdjustmentShape, ...] | None = None


class GroupShape(Shape):
    id: Text


class CustomerShape(Shape):
    has_account: bool | None = None
    groups: tuple[GroupShape, ...] | None = None


class PromotionShape(Shape):
    code: Text | None = None


class ReturnShape(Shape):
    status: Text | None = None
    exchange_id: Text | None = None
    claim_id: Text | None = None


class CreditLineShape(Shape):
    """An amount taken off the total: a gift card, store credit, a refund without a return, or a forgiven amount.

    Its `created_at` moves with every version of the order. `metadata.created_in_version` is missing exactly if the line
    existed when the order was placed (2.21.2, with @medusajs/loyalty-plugin 2.21.1). A refund refers to its payment
    collection.
    """

    amount: Number
    reference: Text | None = None
    metadata: Mapping[str, Any] | None = None

    @property
    def at_placement(self) -> bool:
        return "created_in_version" not in (self.metadata or {}) and self.reference != "payment_collection"


class PaymentCollectionShape(Shape):
    status: Text | None = None
    amount: Number | None = None
    authorized_amount: Number | None = None
    captured_amount: Number | None = None


class SummaryShape(Shape):
    paid_total: Number
    transaction_total: Number
    refunded_total: Number = Decimal(0)


class CartReferenceShape(Shape):
    id: Text


class OrderShape(Shape):
    id: IndexedId
    # A number in Medusa 2.21.2. Older senders may leave it out.
    display_id: int | Text | None = None
    customer_id: IndexedId | None = None
    customer: CustomerShape | None = None
    # Any text: only its hash is stored.
    email: str | None = None
    currency_code: Text
    status: Text
    is_draft_order: bool = False
    payment_status: Text | None = None
    version: Annotated[int, Field(ge=0, lt=2**31)]
    created_at: StorableTime
    updated_at: StorableTime
    canceled_at: AwareDatetime | None = None
    total: Number
    credit_line_total: Number = Decimal(0)
    # Older senders leave them out.
    credit_lines: tuple[CreditLineShape | None, ...] | None = None
    shipping_total: Number = Decimal(0)
    shipping_tax_total: Number = Decimal(0)
    items: tuple[ItemShape, ...]
    shipping_methods: tuple[ShippingMethodShape | None, ...] | None = None
    # A deleted promotion leaves a null in the list.
    promotions: tuple[PromotionShape | None, ...] | None = None
    cart: CartReferenceShape | None = None
    # Needed only for claims and exchanges; a snapshot without them is an order without those.
    returns: tuple[ReturnShape, ...] | None = None
    payment_collections: tuple[PaymentCollectionShape, ...] | None = None
    summary: SummaryShape | None = None

    @property
    def live_collections(self) -> list[PaymentCollectionShape]:
        return [collection for collection in self.payment_collections or () if collection.status != "canceled"]
