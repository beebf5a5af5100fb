import type { MedusaContainer } from "@medusajs/framework/types"
import { ContainerRegistrationKeys, MedusaError } from "@medusajs/framework/utils"
import {
  codesOf,
  differInPrice,
  paysForUnits,
  refusal,
  RULE_FIELDS,
  type GuardedCart,
  type GuardedPromotion,
  type PricedVariant,
} from "./guard-rules"

const PROMOTION_FIELDS = [
  "id",
  "code",
  "status",
  "limit",
  "used",
  ...RULE_FIELDS,
  "campaign.starts_at",
  "campaign.ends_at",
  "application_method.target_type",
  "application_method.max_quantity",
]

/**
 * Refuse to complete a cart with a code of a redemption that is no longer valid or is not bound to this cart, with codes
 * that take more off than the programme's share, or with a points-only product that points do not pay for. Throws
 * `not_allowed` with a code, which the storefront gets as a 400; cart and payment session stay as they are. Holds on every
 * way to completion, a payment provider's webhook included.
 *
 * Asks Medusa's database only, so a checkout does not need the bridge. For a shop whose own `completeCart.validate`
 * handler leaves no room for ours:
 *
 *     completeCartWorkflow.hooks.validate(async ({ cart }, { container }) => {
 *       await guardCheckout(cart, container)
 *     })
 */
export async function guardCheckout(cart: GuardedCart, container: MedusaContainer): Promise<void> {
  // A client that asks again for the order it has already placed must get it, although its code is used up by then.
  if (cart.completed_at) return
  const promotions = await findPromotions(codesOf(cart), container)
  const [dustOnly, mixedPrices, decimals] = await Promise.all([
    findDustOnly(cart, container),
    paysForUnits(promotions) ? findMixedPrices(cart, container) : new Set<string>(),
    findDecimals(cart.currency_code, container),
  ])
  const refused = refusal(cart, { promotions, dustOnly, mixedPrices, decimals, now: new Date() })
  if (refused) throw new MedusaError(MedusaError.Types.NOT_ALLOWED, refused.message, refused.code)
}

async function findPromotions(codes: string[], container: MedusaContainer): Promise<GuardedPromotion[]> {
  if (codes.length === 0) return []
  const { data } = await container
    .resolve(ContainerRegistrationKeys.QUERY)
    .graph({ entity: "promotion", fields: PROMOTION_FIELDS, filters: { code: codes } })
  return data as unknown as GuardedPromotion[]
}

/** Read anew: the line items of a cart know their product as it was when they were put in. */
async function findDustOnly(cart: GuardedCart, container: MedusaContainer): Promise<Set<string>> {
  const ids = productIds(cart)
  if (ids.length === 0) return new Set()
  const { data } = await container
    .resolve(ContainerRegistrationKeys.QUERY)
    .graph({ entity: "product", fields: ["id", "metadata"], filters: { id: ids } })
  return new Set(data.filter((product) => product.metadata?.dust_only === true).map((product) => product.id))
}

async function findMixedPrices(cart: GuardedCart, container: MedusaContainer): Promise<Set<string>> {
  const { data } = await container.resolve(ContainerRegistrationKeys.QUERY).graph({
    entity: "product",
    fields: ["id", "variants.id", "variants.prices.*", "variants.prices.price_rules.*"],
    filters: { id: productIds(cart) },
  })
  const products = data as unknown as { id: string; variants?: (PricedVariant | null)[] | null }[]
  return new Set(products.filter((product) => differInPrice(product.variants ?? [])).map((product) => product.id))
}

function productIds(cart: GuardedCart): string[] {
  return [...new Set((cart.items ?? []).flatMap((line) => line.product_id ?? []))]
}

/** Two for a currency that Medusa does not list. */
async function findDecimals(code: string | null | undefined, container: MedusaContainer): Promise<number> {
  if (!code) return 2
  const { data } = await container
    .resolve(ContainerRegistrationKeys.QUERY)
    .graph({ entity: "currency", fields: ["code", "decimal_digits"], filters: { code: code.toLowerCase() } })
  return Number(data[0]?.decimal_digits ?? 2)
}
