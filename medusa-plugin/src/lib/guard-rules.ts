import { MathBN } from "@medusajs/framework/utils"
import type { BigNumberInput } from "@medusajs/framework/types"
import { GUARD_SENTENCES, type GuardCode } from "./guard-sentences"

type Adjustment = { code?: string | null; amount: BigNumberInput }
type Adjusted = { adjustments?: (Adjustment | null)[] | null }

/** What the guard reads of a cart. */
export type GuardedCart = {
  id?: string | null
  currency_code?: string | null
  customer_id?: string | null
  completed_at?: string | Date | null
  /** With tax and shipping, after all discounts, gift cards and store credit. */
  total?: BigNumberInput | null
  items?: GuardedLine[] | null
  shipping_methods?: (Adjusted | null)[] | null
}

export type GuardedLine = Adjusted & {
  title: string
  product_id?: string | null
  quantity: BigNumberInput
  unit_price: BigNumberInput
  /** With tax, after all discounts. */
  total: BigNumberInput
  /** With tax, before all discounts. */
  original_total?: BigNumberInput | null
}

/** What the guard reads of a promotion. */
export type GuardedPromotion = {
  id?: string
  code?: string | null
  status?: string | null
  limit?: number | null
  used?: number | null
  rules?: (PromotionRule | null)[] | null
  campaign?: { starts_at?: string | Date | null; ends_at?: string | Date | null } | null
  application_method?: { target_type?: string | null; max_quantity?: number | null } | null
}

export type PromotionRule = { id?: string; attribute?: string | null; description?: string | null }

/** What a promotion says about its redemption. The bridge writes it, and the plugin the cart; shoppers cannot. */
export type CodeFacts = {
  redemption_id: string
  customer_id?: string
  expires_at?: string
  /** The only cart that the code may be used in. */
  cart_id?: string
  max_share?: string
  /** The least that the cart's lines cost, with tax and before discounts, without those that only points can buy. */
  min_cart?: string
}

/** The fields that `redemptionRule` needs, below a promotion. */
export const RULE_FIELDS = ["rules.id", "rules.description"]

/** What the guard looks up beside the cart. */
export type Facts = {
  promotions: GuardedPromotion[]
  /** Products of the cart that only points can buy. */
  dustOnly: Set<string>
  /** Products of the cart whose variants differ in price. */
  mixedPrices: Set<string>
  /** Decimal digits of the cart's currency, as Medusa has them. */
  decimals: number
  now: Date
}

/**
 * The rule whose description carries the facts of the promotion's redemption, as JSON; undefined for a promotion that is
 * not of Dust. Not the promotion's metadata: the Admin API of Medusa before 2.21.0 refuses it (tried on 2.13.6 and 2.18.0).
 */
export function redemptionRule(
  promotion: GuardedPromotion | undefined | null,
): { rule: PromotionRule; facts: CodeFacts } | undefined {
  for (const rule of promotion?.rules ?? []) {
    const facts = readFacts(rule?.description)
    if (rule && facts) return { rule, facts }
  }
  return undefined
}

export function redemptionOf(promotion: GuardedPromotion | undefined | null): CodeFacts | undefined {
  return redemptionRule(promotion)?.facts
}

/** A promotion that a redemption of Dust made. */
export function isDust(promotion: GuardedPromotion | undefined | null): boolean {
  return redemptionOf(promotion) !== undefined
}

/** The shop's own rules may have descriptions too, of any text. */
function readFacts(description: string | null | undefined): CodeFacts | undefined {
  if (!description?.startsWith("{")) return undefined
  try {
    const facts = JSON.parse(description) as Partial<CodeFacts>
    return facts.redemption_id ? (facts as CodeFacts) : undefined
  } catch {
    return undefined
  }
}

/** Every code that takes something off the cart. */
export function codesOf(cart: GuardedCart): string[] {
  const lines: (Adjusted | null)[] = [...(cart.items ?? []), ...(cart.shipping_methods ?? [])]
  return [...new Set(lines.flatMap((line) => lineCodes(line)))]
}

/** Why a cart must not become an order: a code for programs, and the sentence for the shopper. */
export type Refusal = { code: GuardCode; message: string }

function refuse(code: GuardCode, values: Record<string, string | number> = {}): Refusal {
  const message = GUARD_SENTENCES[code].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name]))
  return { code, message }
}

/**
 * Why this cart must not become an order; undefined when it may.
 *
 * Medusa itself does not look again: at completion, a promotion that was deactivated or whose campaign has ended still
 * takes its discount off, and its use is not counted (found on 2.21.2).
 */
export function refusal(cart: GuardedCart, facts: Facts): Refusal | undefined {
  const byCode = new Map(facts.promotions.map((promotion) => [promotion.code, promotion]))
  for (const code of codesOf(cart)) {
    const reason = codeRefusal(code, byCode.get(code), cart, facts.now)
    if (reason) return reason
  }
  const byProduct = linesByProduct(cart)
  for (const [productId, lines] of byProduct) {
    const reason =
      (facts.mixedPrices.has(productId) ? mixedPricesRefusal(lines, byCode) : undefined) ??
      (facts.dustOnly.has(productId) ? dustOnlyRefusal(lines, byCode, facts.decimals) : undefined)
    if (reason) return reason
  }
  return minimumRefusal(cart, byCode, facts) ?? shareRefusal(cart, byCode, facts) ?? totalRefusal(cart, byCode, facts)
}

export type PricedVariant = { prices?: (VariantPrice | null)[] | null }
type VariantPrice = {
  amount: BigNumberInput
  currency_code?: string | null
  min_quantity?: BigNumberInput | null
  max_quantity?: BigNumberInput | null
  price_list_id?: string | null
  price_rules?: ({ attribute?: string | null; operator?: string | null; value?: string | null } | null)[] | null
}

/**
 * Whether two variants that are both sold in a currency have other prices in it. Prices of regions and quantities count;
 * those of price lists, such as a sale, do not.
 */
export function differInPrice(variants: (PricedVariant | null)[]): boolean {
  const byCurrency = new Map<string, Set<string>>()
  for (const variant of variants) {
    const rows = new Map<string, string[]>()
    for (const price of variant?.prices ?? []) {
      if (!price || price.price_list_id) continue
      const key = price.currency_code ?? ""
      rows.set(key, [...(rows.get(key) ?? []), priceKey(price)])
    }
    for (const [code, prices] of rows) {
      byCurrency.set(code, (byCurrency.get(code) ?? new Set()).add(prices.sort().join(" ")))
    }
  }
  return [...byCurrency.values()].some((prices) => prices.size > 1)
}

function priceKey(price: VariantPrice): string {
  const rules = (price.price_rules ?? []).map((rule) => [rule?.attribute, rule?.operator, rule?.value].join(":")).sort()
  const bounds = [price.min_quantity, price.max_quantity].map((bound) => (bound == null ? "" : Number(bound)))
  return JSON.stringify([Number(MathBN.convert(price.amount)), ...bounds, ...rules])
}

/** Whether a code that pays by the unit, and not in money, takes something off the cart. */
export function paysForUnits(promotions: GuardedPromotion[]): boolean {
  return promotions.some((promotion) => unitsCovered(promotion) > 0)
}

function codeRefusal(
  code: string,
  promotion: GuardedPromotion | undefined,
  cart: GuardedCart,
  now: Date,
): Refusal | undefined {
  // Deleted while it was in the cart, which is how the bridge takes points back. Medusa would answer with a 500.
  if (!promotion) return refuse("code_gone", { code })
  const redemption = redemptionOf(promotion)
  if (!redemption) return undefined
  if (redemption.customer_id !== cart.customer_id) return refuse("code_of_another", { code })
  if (typeof promotion.limit === "number" && (promotion.used ?? 0) >= promotion.limit) return refuse("code_used", { code })
  if (hasPassed(redemption.expires_at, now) || hasPassed(promotion.campaign?.ends_at, now)) {
    return refuse("code_expired", { code })
  }
  const begun = !promotion.campaign?.starts_at || hasPassed(promotion.campaign.starts_at, now)
  if (promotion.status !== "active" || !begun) return refuse("code_gone", { code })
  // The customer on the cart proves nothing: Medusa takes it from the e-mail address that was typed. The binding does:
  // the bridge, or the plugin for its signed-in owner, has written it.
  if (!cart.id || redemption.cart_id !== cart.id) return refuse("code_not_bound", { code })
  return undefined
}

/** Whether there is such a moment and it is over. */
function hasPassed(moment: unknown, now: Date): boolean {
  return (typeof moment === "string" || moment instanceof Date) && new Date(moment) <= now
}

function linesByProduct(cart: GuardedCart): Map<string, GuardedLine[]> {
  const lines = new Map<string, GuardedLine[]>()
  for (const line of cart.items ?? []) {
    if (line.product_id) lines.set(line.product_id, [...(lines.get(line.product_id) ?? []), line])
  }
  return lines
}

/** One price in points cannot be right for variants of which one costs more than another. */
function mixedPricesRefusal(
  lines: GuardedLine[],
  byCode: Map<GuardedPromotion["code"], GuardedPromotion>,
): Refusal | undefined {
  const code = lines.flatMap((line) => lineCodes(line)).find((lineCode) => unitsCovered(byCode.get(lineCode)) > 0)
  if (!code) return undefined
  return refuse("mixed_prices", { title: lines[0].title, code })
}

/**
 * A points-only product is paid when every unit of it is: units are counted by what the redemptions for items cover, not
 * by the money taken off. A discount in money that happens to reach the price was bought at the rate of money, not at the
 * product's price in points. A product whose price is 0 is refused: Medusa applies no discount to it, so nothing proves
 * that points paid for it.
 */
function dustOnlyRefusal(
  lines: GuardedLine[],
  byCode: Map<GuardedPromotion["code"], GuardedPromotion>,
  decimals: number,
): Refusal | undefined {
  const { title } = lines[0]
  if (lines.some((line) => MathBN.lte(line.unit_price, 0))) return refuse("no_price", { title })
  if (lines.some((line) => !MathBN.convert(line.quantity).isInteger())) return refuse("whole_units_only", { title })
  const codes = new Set(lines.flatMap((line) => lineCodes(line)))
  const quantity = lines.reduce((sum, line) => sum + Number(line.quantity), 0)
  const paid = [...codes].reduce((sum, code) => sum + unitsCovered(byCode.get(code)), 0)
  if (paid === 0) return refuse("points_only", { title })
  if (paid < quantity) return refuse("partly_paid", { paid, quantity, title })
  const unpaid = lines.some((line) => rounded(line.total, decimals) > 0)
  return unpaid ? refuse("not_fully_paid", { title }) : undefined
}

function unitsCovered(promotion: GuardedPromotion | undefined): number {
  const method = promotion?.application_method
  return isDust(promotion) && method?.target_type === "items" ? (method.max_quantity ?? 0) : 0
}

/**
 * Medusa checks a reward's minimum too, but counts the lines that only points can buy. A shopper could redeem 10.00 off a
 * cart of 50.00, and then put a product for points in the place of the others.
 */
function minimumRefusal(
  cart: GuardedCart,
  byCode: Map<GuardedPromotion["code"], GuardedPromotion>,
  { dustOnly, decimals }: Facts,
): Refusal | undefined {
  const total = rounded(
    ordinaryLines(cart, dustOnly).reduce((sum, line) => MathBN.add(sum, line.original_total ?? line.total), MathBN.convert(0)),
    decimals,
  )
  for (const code of codesOf(cart)) {
    const least = Number(redemptionOf(byCode.get(code))?.min_cart ?? 0)
    if (total < least) return refuse("below_min_cart", { code, least: `${least.toFixed(decimals)} ${currency(cart)}` })
  }
  return undefined
}

function ordinaryLines(cart: GuardedCart, dustOnly: Set<string>): GuardedLine[] {
  return (cart.items ?? []).filter((line) => !line.product_id || !dustOnly.has(line.product_id))
}

/**
 * The programme's `max_share` holds for all codes together, and after the shop's own discounts: what points take off the
 * lines that money may pay for, against what those lines cost before points. Codes that count carry the share of their
 * programme's version; the smallest one holds.
 *
 * At a share of one half, 50.00 that the shop's coupon has made 30.00 leave 15.00 for points.
 */
function shareRefusal(
  cart: GuardedCart,
  byCode: Map<GuardedPromotion["code"], GuardedPromotion>,
  { dustOnly, decimals }: Facts,
): Refusal | undefined {
  let taken = MathBN.convert(0)
  let worth = MathBN.convert(0)
  let share: number | undefined
  for (const line of ordinaryLines(cart, dustOnly)) {
    worth = MathBN.add(worth, line.total)
    for (const { code, amount } of effective(line)) {
      const promotion = byCode.get(code)
      const carried = Number(redemptionOf(promotion)?.max_share ?? Number.NaN)
      if (Number.isNaN(carried)) continue
      share = Math.min(share ?? 1, carried)
      taken = MathBN.add(taken, amount)
      worth = MathBN.add(worth, amount)
    }
  }
  if (share === undefined || share >= 1) return undefined
  // Both to the currency's precision: noise, or half a cent of a percentage, refuses nobody.
  const limit = rounded(MathBN.mult(worth, share), decimals)
  if (rounded(taken, decimals) <= limit) return undefined
  const [takes, most] = [rounded(taken, decimals), limit].map((sum) => `${sum.toFixed(decimals)} ${currency(cart)}`)
  return refuse("above_max_share", { takes, most })
}

/**
 * Medusa takes codes off although a gift card or store credit has paid for the same lines, and completes a cart whose total
 * is below zero. The points would be spent for nothing. What points take off products that only they can buy does not
 * count: no credit pays for those.
 */
function totalRefusal(
  cart: GuardedCart,
  byCode: Map<GuardedPromotion["code"], GuardedPromotion>,
  { dustOnly, decimals }: Facts,
): Refusal | undefined {
  const over = -rounded(cart.total ?? 0, decimals)
  if (!(over > 0)) return undefined
  const lines = [...ordinaryLines(cart, dustOnly), ...(cart.shipping_methods ?? [])]
  const code = lines.flatMap((line) => lineCodes(line)).find((lineCode) => isDust(byCode.get(lineCode)))
  return code ? refuse("below_zero", { over: `${over.toFixed(decimals)} ${currency(cart)}`, code }) : undefined
}

function currency(cart: GuardedCart): string {
  return (cart.currency_code ?? "").toUpperCase()
}

/** To the precision of the currency, as floating-point totals carry noise (1e-20 of a line that is paid in full). */
function rounded(amount: BigNumberInput, decimals: number): number {
  // Not `convert`'s own second argument: before 2.21, Medusa rounds nothing for a currency without decimals.
  return MathBN.convert(amount).decimalPlaces(decimals).toNumber()
}

/** The adjustments that take something off; one of nothing pays for nothing. */
function effective(line: Adjusted | null): Adjustment[] {
  return (line?.adjustments ?? []).flatMap((adjustment) => (adjustment && MathBN.gt(adjustment.amount, 0) ? [adjustment] : []))
}

function lineCodes(line: Adjusted | null): string[] {
  return effective(line).flatMap((adjustment) => adjustment.code ?? [])
}
