/** Medusa's events that have an effect in Dust. `subscribers/code-removed.ts` adds `dust.code_removed`. */
export const FORWARDED_EVENTS = [
  "order.placed",
  "order.updated",
  "order.completed",
  "order.canceled",
  "order.return_received",
  "order-edit.confirmed",
  "order.claim_created",
  "order.exchange_created",
  "order.transfer_requested",
  "payment.captured",
  "payment.refunded",
  "customer.created",
  "customer.updated",
  "customer.deleted",
  "product.deleted",
]
