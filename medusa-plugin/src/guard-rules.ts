import { MathBN } from "@medusajs/framework/utils"
import type { BigNumberInput } from "@medusajs/framework/types"

type Adjusted = { adjustments?: ({ code?: string | null; amount: BigNumberInput } | null)[] | null }

/** What the guard reads of a cart. */
export type GuardedCart = {
  customer_id?: string | null
  completed_at?: string | Date | null
  items?: GuardedLine[] | null
  shipping_methods?: (Adjusted | null)[] | null
}

export type GuardedLine = Adjusted & {
  title: string
  product_id?: string | null
  quantity: BigNumberInput
  unit_price: BigNumberInput
  total: BigNumberInput
}

/** What the guard reads of a promotion. The bridge writes the metadata; neither shoppers nor carts can. */
export type GuardedPromotion = {
  code?: string | null
  status?: string | null
  limit?: number | null
  used?: number | null
  metadata?: Record<string, unknown> | null
  campaign?: { starts_at?: string | Date | null; ends_at?: string | Date | null } | null
  application_method?: { target_type?: string | null; max_quantity?: number | null } | null
}

/** A promotion that stands for dust somebody has put aside. */
export function isDust(promotion: GuardedPromotion | undefined): boolean {
  return Boolean(promotion?.metadata?.redemption_id)
}

/** Every code that takes something off the cart. */
export function codesOf(cart: GuardedCart): string[] {
  const lines: (Adjusted | null)[] = [...(cart.items ?? []), ...(cart.shipping_methods ?? [])]
  return [...new Set(lines.flatMap((line) => lineCodes(line)))]
}

/**
 * Why this cart must not become an order, in words for the shopper; undefined when it may.
 *
 * Medusa itself does not look again: at completion, a promotion that was deactivated or whose campaign has ended still
 * takes its discount off, and its use is not counted (found on 2.21.2).
 */
export function refusal(
  cart: GuardedCart,
  promotions: GuardedPromotion[],
  dustOnlyProductIds: Set<string>,
  now: Date,
): string | undefined {
  const byCode = new Map(promotions.map((promotion) => [promotion.code, promotion]))
  for (const code of codesOf(cart)) {
    const reason = codeRefusal(code, byCode.get(code), cart, now)
    if (reason) return reason
  }
  for (const productId of dustOnlyProductIds) {
    const lines = (cart.items ?? []).filter((line) => line.product_id === productId)
    const reason = lines.length > 0 ? dustOnlyRefusal(lines, byCode) : undefined
    if (reason) return reason
  }
  return undefined
}

function codeRefusal(
  code: string,
  promotion: GuardedPromotion | undefined,
  cart: GuardedCart,
  now: Date,
): string | undefined {
  const gone = `The code ${code} is no longer valid. Please remove it from the cart.`
  // Deleted while it was in the cart, which is how the bridge takes back dust. Medusa would answer with a 500.
  if (!promotion) return gone
  if (!isDust(promotion)) return undefined
  if (promotion.metadata?.customer_id !== cart.customer_id) {
    return `The code ${code} belongs to another customer. Please remove it from the cart.`
  }
  if (typeof promotion.limit === "number" && (promotion.used ?? 0) >= promotion.limit) {
    return `The code ${code} has been used already. Please remove it from the cart.`
  }
  if (hasPassed(promotion.metadata?.expires_at, now) || hasPassed(promotion.campaign?.ends_at, now)) {
    return `The code ${code} has expired. Please remove it from the cart, and redeem dust again.`
  }
  const begun = !promotion.campaign?.starts_at || hasPassed(promotion.campaign.starts_at, now)
  return promotion.status === "active" && begun ? undefined : gone
}

/** Whether there is such a moment and it is over. */
function hasPassed(moment: unknown, now: Date): boolean {
  return (typeof moment === "string" || moment instanceof Date) && new Date(moment) <= now
}

/**
 * A dust-only product is paid when every unit of it is: units are counted by what the redemptions for items cover, not by
 * the money taken off. A discount in money that happens to reach the price was bought at the rate of money, not at the
 * product's dust price. A product without a price would slip through free, since Medusa takes nothing off nothing.
 */
function dustOnlyRefusal(lines: GuardedLine[], byCode: Map<GuardedPromotion["code"], GuardedPromotion>): string | undefined {
  const title = `“${lines[0].title}”`
  if (lines.some((line) => MathBN.lte(line.unit_price, 0))) {
    return `${title} has no price, so dust cannot pay for it. Please ask the shop.`
  }
  const codes = new Set(lines.flatMap((line) => lineCodes(line)))
  const wanted = lines.reduce((sum, line) => sum + Number(line.quantity), 0)
  const covered = [...codes].reduce((sum, code) => sum + unitsCovered(byCode.get(code)), 0)
  if (covered === 0) return `${title} can only be bought with dust. Please redeem dust for it first.`
  if (covered < wanted) return `Only ${covered} of ${wanted} × ${title} are paid with dust. Please redeem dust for the rest.`
  const unpaid = lines.some((line) => MathBN.gt(line.total, 0))
  return unpaid ? `${title} is not fully paid with dust. Please redeem dust for it again.` : undefined
}

function unitsCovered(promotion: GuardedPromotion | undefined): number {
  const method = promotion?.application_method
  return isDust(promotion) && method?.target_type === "items" ? (method.max_quantity ?? 0) : 0
}

/** The codes that take something off this line; an adjustment of nothing pays for nothing. */
function lineCodes(line: Adjusted | null): string[] {
  const taken = (line?.adjustments ?? []).filter((adjustment) => adjustment && MathBN.gt(adjustment.amount, 0))
  return taken.flatMap((adjustment) => adjustment?.code ?? [])
}
