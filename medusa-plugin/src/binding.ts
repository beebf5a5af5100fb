import type { MedusaContainer } from "@medusajs/framework/types"
import { Modules } from "@medusajs/framework/utils"
import { isDust, type GuardedPromotion } from "./guard-rules"

/** What is read of a cart to say whose points it spends. */
export type SpendingCart = {
  id: string
  customer_id?: string | null
  completed_at?: string | Date | null
  promotions?: (GuardedPromotion | null)[] | null
}

/** The cart with its promotions; undefined when there is none. */
export async function readCart(cartId: string, container: MedusaContainer): Promise<SpendingCart | undefined> {
  const { data } = await container.resolve("query").graph({
    entity: "cart",
    fields: ["id", "customer_id", "completed_at", "promotions.id", "promotions.code", "promotions.metadata"],
    filters: { id: cartId },
  })
  return data[0] as unknown as SpendingCart | undefined
}

/** The dust codes of the cart that `customerId`, who is signed in, owns, and that are bound to no or another cart. */
export function codesToBind(
  cart: SpendingCart | undefined,
  customerId: string | undefined,
  codes?: string[],
): GuardedPromotion[] {
  if (!cart || cart.completed_at || !customerId || cart.customer_id !== customerId) return []
  return (cart.promotions ?? []).flatMap((promotion) =>
    promotion &&
    isDust(promotion) &&
    promotion.metadata?.customer_id === customerId &&
    promotion.metadata?.cart_id !== cart.id &&
    (!codes || codes.includes(promotion.code ?? ""))
      ? [promotion]
      : [],
  )
}

/**
 * Write the cart's id into the metadata of its owner's dust codes: the checkout guard completes no other cart with them.
 * Only `codes`, when given. Call it for a request that the owner makes, signed in.
 */
export async function bindCodes(
  cart: SpendingCart | undefined,
  customerId: string | undefined,
  container: MedusaContainer,
  codes?: string[],
): Promise<void> {
  const promotions = codesToBind(cart, customerId, codes)
  if (promotions.length === 0) return
  await container
    .resolve(Modules.PROMOTION)
    .updatePromotions(promotions.map(({ id, metadata }) => ({ id: id!, metadata: { ...metadata, cart_id: cart!.id } })))
}
