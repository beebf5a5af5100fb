import type { MedusaContainer } from "@medusajs/framework/types"
import { ContainerRegistrationKeys } from "@medusajs/framework/utils"
import { redemptionRule, RULE_FIELDS, type GuardedPromotion } from "./guard-rules"

/** What is read of a cart to say whose points it spends. */
export type SpendingCart = {
  id: string
  customer_id?: string | null
  completed_at?: string | Date | null
  promotions?: (GuardedPromotion | null)[] | null
}

/** The cart with its promotions; undefined when there is none. */
export async function readCart(cartId: string, container: MedusaContainer): Promise<SpendingCart | undefined> {
  const { data } = await container.resolve(ContainerRegistrationKeys.QUERY).graph({
    entity: "cart",
    fields: ["id", "customer_id", "completed_at", ...["id", "code", ...RULE_FIELDS].map((field) => `promotions.${field}`)],
    filters: { id: cartId },
  })
  return data[0] as unknown as SpendingCart | undefined
}

/** A new description for a rule of a promotion. */
export type RuleUpdate = { id: string; description: string }

/**
 * The updates that bind codes to the cart: codes of Dust in it that are not bound to it yet, if `customerId`, who is signed
 * in, owns cart and codes.
 */
export function bindings(cart: SpendingCart | undefined, customerId: string | undefined, codes?: string[]): RuleUpdate[] {
  if (!cart || cart.completed_at || !customerId || cart.customer_id !== customerId) return []
  return (cart.promotions ?? []).flatMap((promotion) => {
    const redemption = redemptionRule(promotion)
    if (!redemption?.rule.id || (codes && !codes.includes(promotion?.code ?? ""))) return []
    const { facts } = redemption
    if (facts.customer_id !== customerId || facts.cart_id === cart.id) return []
    return [{ id: redemption.rule.id, description: JSON.stringify({ ...facts, cart_id: cart.id }) }]
  })
}
