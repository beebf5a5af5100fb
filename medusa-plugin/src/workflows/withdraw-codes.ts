import type { Logger, MedusaContainer } from "@medusajs/framework/types"
import { Modules, PromotionActions } from "@medusajs/framework/utils"
import { updateCartPromotionsWorkflow } from "@medusajs/medusa/core-flows"
import { isDust, RULE_FIELDS, type GuardedPromotion } from "../lib/guard-rules"

/** The plugin's own event: a code of Dust has left a cart. Medusa's `cart.updated` is not emitted for a removed code. */
export const CODE_REMOVED = "dust.code_removed"

/** A cart and the codes in it. */
export type CartCodes = { cart_id: string; codes: string[] }

export type Withdrawal = { carts: CartCodes[]; remaining: number }

type Promotion = { id: string; code: string }
type Link = { cart_id: string; promotion_id: string; deleted_at?: string | Date | null }

// Few enough to leave Medusa its database connections.
const AT_ONCE = 4
// A cart that is locked is waited for by Medusa for two seconds; the caller's time-out is five.
const LONGEST_MS = 2_000
const MAX_PROMOTIONS = 1_000
// A storefront's cookie keeps a cart for a week.
const LOOK_BACK_MS = 8 * 24 * 3_600_000

/**
 * Take these codes out of every open cart that holds one, whether their promotions exist or are deleted.
 *
 * It stops after two seconds; `remaining` is the number of open carts that still hold a code. With `dryRun` it only
 * finds them. Medusa keeps the link to a deleted promotion in the cart, shows it as `null`, and keeps its discount;
 * removing the code takes both away (found on 2.21.2).
 */
export async function withdrawCodes(
  codes: string[],
  container: MedusaContainer,
  { dryRun = false, now = Date.now }: { dryRun?: boolean; now?: () => number } = {},
): Promise<Withdrawal> {
  const promotions = await container
    .resolve(Modules.PROMOTION)
    .listPromotions({ code: codes }, { select: ["id", "code"], take: MAX_PROMOTIONS, withDeleted: true })
  return withdrawPromotions(promotions as Promotion[], container, { dryRun, now })
}

/**
 * Take the codes of deleted promotions of Dust out of open carts. A bridge does so when it deletes a promotion; this is
 * for carts from before it did, and for what it could not reach.
 */
export async function cleanCarts(container: MedusaContainer): Promise<void> {
  const logger = container.resolve<Logger>("logger")
  const since = new Date(Date.now() - LOOK_BACK_MS).toISOString()
  for (let skip = 0; ; skip += MAX_PROMOTIONS) {
    const deleted = await container.resolve(Modules.PROMOTION).listPromotions(
      // `deleted_at` is no filter of the type, but of the table.
      { deleted_at: { $gte: since } } as object,
      { relations: ["rules"], order: { id: "ASC" }, take: MAX_PROMOTIONS, skip, withDeleted: true },
    )
    const dust = deleted.filter((promotion) => isDust(promotion as GuardedPromotion)) as Promotion[]
    const { carts } = await withdrawPromotions(dust, container, { dryRun: false, now: Date.now })
    if (carts.length) logger.info(`dust: took codes of deleted promotions out of ${carts.length} carts`)
    if (deleted.length < MAX_PROMOTIONS) return
  }
}

/**
 * The code of Dust that has left a cart, if this link says so: undefined for one that is back in the cart, for any other
 * promotion, and for one that is deleted.
 *
 * Every refresh of a cart replaces its links, and a link that is made again has another id.
 */
export async function codeThatLeft(linkId: string, container: MedusaContainer): Promise<CartCodes | undefined> {
  const query = container.resolve("query")
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

async function withdrawPromotions(
  promotions: Promotion[],
  container: MedusaContainer,
  { dryRun, now }: { dryRun: boolean; now: () => number },
): Promise<Withdrawal> {
  const held = await openCarts(promotions, container)
  if (dryRun) return { carts: held, remaining: held.length }
  const end = now() + LONGEST_MS
  const done: CartCodes[] = []
  for (let start = 0; start < held.length && now() < end; start += AT_ONCE) {
    const some = held.slice(start, start + AT_ONCE)
    const taken = await Promise.all(some.map((cart) => takeOut(cart, container)))
    done.push(...some.filter((_, index) => taken[index]))
  }
  return { carts: done, remaining: held.length - done.length }
}

async function openCarts(promotions: Promotion[], container: MedusaContainer): Promise<CartCodes[]> {
  if (promotions.length === 0) return []
  const query = container.resolve("query")
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

/** False for a cart that is locked, or was completed meanwhile. */
async function takeOut({ cart_id, codes }: CartCodes, container: MedusaContainer): Promise<boolean> {
  try {
    await updateCartPromotionsWorkflow(container).run({
      input: {
        cart_id,
        promo_codes: codes,
        action: PromotionActions.REMOVE,
        // A payment session over another total must not stay.
        force_refresh_payment_collection: true,
      },
    })
    return true
  } catch (error) {
    const logger = container.resolve<Logger>("logger")
    logger.warn(`dust: cart ${cart_id} still holds ${codes.join(", ")}: ${(error as Error).message}`)
    return false
  }
}
