/**
 * The `fields` with which Dust reads an order over the Admin API (`ORDER_FIELDS` of bridge/medusa/order_shapes.py). The
 * snapshot must have the very same shape; a test compares the two lists, and a live one what they give.
 */
export const ORDER_FIELDS = [
  "id", "display_id", "status", "version", "created_at", "updated_at", "canceled_at", "currency_code", "customer_id",
  "email", "is_draft_order", "payment_status", "fulfillment_status", "customer.id", "customer.has_account",
  "customer.groups.id", "region_id", "total", "subtotal", "tax_total", "item_total", "item_subtotal",
  "item_tax_total", "discount_total", "discount_subtotal", "discount_tax_total", "shipping_total",
  "shipping_subtotal", "shipping_tax_total", "original_item_total", "original_item_subtotal", "credit_line_total",
  "credit_lines.*", "summary.*", "metadata", "items.id", "items.title", "items.product_id", "items.variant_id",
  "items.variant_sku", "items.quantity", "items.unit_price", "items.is_tax_inclusive", "items.total",
  "items.subtotal", "items.tax_total", "items.discount_total", "items.discount_subtotal", "items.metadata",
  "items.detail.*", "items.adjustments.*", "items.product.categories.id", "items.product.collection_id",
  "items.created_at", "items.return_received_total", "items.return_dismissed_total", "items.*", "items.tax_lines.rate",
  "shipping_methods.id",
  "shipping_methods.total", "shipping_methods.tax_total", "shipping_methods.discount_total",
  "shipping_methods.adjustments.*", "shipping_methods.*", "shipping_methods.tax_lines.rate", "promotions.id",
  "promotions.code", "payment_collections.id", "payment_collections.status",
  "payment_collections.amount", "payment_collections.authorized_amount", "payment_collections.captured_amount",
  "payment_collections.refunded_amount", "payment_collections.payments.id", "payment_collections.payments.amount",
  "payment_collections.payments.captured_at", "payment_collections.payments.refunds.*", "transactions.*",
  "returns.id", "returns.status", "returns.refund_amount", "returns.received_at", "returns.items.*",
  "returns.exchange_id", "returns.claim_id", "cart.id",
]
