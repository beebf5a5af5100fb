import type { MedusaContainer } from "@medusajs/framework/types"
import { ContainerRegistrationKeys } from "@medusajs/framework/utils"
import { isDust, RULE_FIELDS, type GuardedPromotion } from "./guard-rules"

/** A cart and the codes in it. */
export type CartCodes = { cart_id: string; codes: string[] }

export type CodeOfPromotion = { id: string; code: string }

type Link = { cart_id: string; promotion_id: string; deleted_at?: string | Date | null }

/** The open carts that hold a code of these promotions, whether they exist or are deleted. */
export async function findOpenCarts(promotions: CodeOfPromotion[], container: MedusaContainer): Promise<CartCodes[]> {
  if (promotions.length === 0) return []
  const query = container.resolve(ContainerRegistrationKeys.QUERY)
  const code = new Map(promotions.map((promotion) => [promotion.id, promotion.code]))
  const links = await query.graph({
    entity: "cart_promotion",
    fields: ["cart_id", "promotion_id"],
    filters: { promotion_id: [...code.keys()] },
  })
  const codes = new Map<string, string[]>()
  for (const { cart_id, promotion_id } of links.data as unknown as Link[]) {
    codes.set(cart_id, [...(codes.get(cart_id) ?? []), code.get(promotion_id) as string])
  }
  if (codes.size === 0) return []
  const carts = await query.graph({
    entity: "cart",
    fields: ["id"],
    filters: { id: [...codes.keys()], completed_at: null } as object,
  })
  return carts.data.map(({ id }) => ({ cart_id: id, codes: codes.get(id) as string[] }))
}

/**
 * The code of Dust that has left a cart, if this link says so: undefined for one that is back in the cart, for any other
 * promotion, and for one that is deleted.
 *
 * Every refresh of a cart replaces its links, and a link that is made again has another id.
 */
export async function findRemovedCode(linkId: string, container: MedusaContainer): Promise<CartCodes | undefined> {
  const query = container.resolve(ContainerRegistrationKeys.QUERY)
  const links = await query.graph({
    entity: "cart_promotion",
    fields: ["cart_id", "promotion_id", "deleted_at"],
    filters: { id: linkId },
    withDeleted: true,
  })
  const [link] = links.data as unknown as Link[]
  if (!link?.deleted_at) return undefined
  const promotions = await query.graph({
    entity: "promotion",
    fields: ["code", ...RULE_FIELDS],
    filters: { id: link.promotion_id },
  })
  const [promotion] = promotions.data as unknown as GuardedPromotion[]
  return promotion?.code && isDust(promotion) ? { cart_id: link.cart_id, codes: [promotion.code] } : undefined
}
