import type { SubscriberArgs, SubscriberConfig } from "@medusajs/framework"
import { findRemovedCode } from "../lib/cart-codes"
import type { MedusaEvent } from "../lib/signature"
import { DUST_MODULE } from "../modules/dust"
import { withRetries } from "../modules/dust/insert-retries"
import type DustModuleService from "../modules/dust/service"

/** The plugin's own event: a code of Dust has left a cart. Medusa's `cart.updated` is not emitted for a removed code. */
const CODE_REMOVED = "dust.code_removed"

/**
 * Tell the bridge that a code of Dust has left its cart, whichever way: removed, replaced, or dropped because the cart
 * was emptied, got another region or another customer.
 *
 * Medusa 2.21.2 emits this event at the end of each of these, and at every other change of a cart with a promotion. It
 * emits none for a cart without one. One look at the link tells them apart.
 */
export default async function codeRemoved({ event, container }: SubscriberArgs<{ id?: string }>): Promise<void> {
  const { id } = event.data
  // Medusa's event bus does not deliver an event a second time.
  const removed = id && (await withRetries(() => findRemovedCode(id, container)))
  if (!removed) return
  const { metadata } = event as unknown as MedusaEvent
  await container.resolve<DustModuleService>(DUST_MODULE).keep({ name: CODE_REMOVED, data: removed, metadata })
}

export const config: SubscriberConfig = {
  event: "LinkCartPromotion.detached",
  context: { subscriberId: "dust-cart-codes" },
}
