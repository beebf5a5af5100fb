import "server-only"
import { createDustServer } from "dust-storefront-kit/next"
import type { Products } from "dust-storefront-kit"
import { cache } from "react"
import { medusaUrl, publishableKey } from "./medusa"
import { getCartId, getToken } from "./session"

/** All calls to Dust, through Medusa, as the shopper of this request. */
export const dust = createDustServer({ baseUrl: medusaUrl, publishableKey, getToken, getCartId })

/** Points spent by order id, for ids with commas between them. None while Dust does not answer. */
export const listSpentPoints = cache(async (ids: string): Promise<Record<string, number>> => {
  const { data } = await dust.orders(ids.split(","))
  return Object.fromEntries((data ?? []).map(({ order_id, spent }) => [order_id, spent]))
})

/** Prices in points by product id, for ids with commas between them. None while Dust does not answer. */
export const listPointsPrices = cache(async (ids: string): Promise<Products> => {
  return ids ? ((await dust.products(ids.split(","))).data ?? {}) : {}
})
