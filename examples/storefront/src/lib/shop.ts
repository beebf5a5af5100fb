import "server-only"
import type { HttpTypes } from "@medusajs/types"
import { cache } from "react"
import { medusa, missing, sessionEnded } from "./medusa"
import { authHeaders, getCartId, getRegionId } from "./session"

// `cache` lives for one request: layout and page share their reads.

export const listRegions = cache(async () => (await medusa.store.region.list({ fields: "*countries", order: "name" })).regions)

/** The region that the shopper chose, or the shop's first one. */
export const getRegion = cache(async (): Promise<HttpTypes.StoreRegion> => {
  const [regions, chosen] = await Promise.all([listRegions(), getRegionId()])
  const region = regions.find(({ id }) => id === chosen) ?? regions[0]
  if (!region) throw new Error("The shop has no region. Create one in Medusa's dashboard.")
  return region
})

const PRODUCT_FIELDS = "*variants.calculated_price"

/** With a country, Medusa's prices are also there with tax. */
const pricesFor = ({ id, countries }: HttpTypes.StoreRegion) => ({
  region_id: id,
  country_code: countries?.[0]?.iso_2,
  fields: PRODUCT_FIELDS,
})

export const listProducts = cache(async (limit = 50): Promise<HttpTypes.StoreProduct[]> => {
  const region = await getRegion()
  const { products } = await medusa.store.product.list({ ...pricesFor(region), limit, order: "title" })
  return products
})

export const getProduct = cache(async (handle: string): Promise<HttpTypes.StoreProduct | undefined> => {
  const region = await getRegion()
  const { products } = await medusa.store.product.list({ ...pricesFor(region), handle })
  return products[0]
})

/** Undefined for a guest, and for a shopper whose session has ended. */
export const getCustomer = cache(async (): Promise<HttpTypes.StoreCustomer | undefined> => {
  const headers = await authHeaders()
  if (!headers.authorization) return undefined
  try {
    return (await medusa.store.customer.retrieve({ fields: "*addresses" }, headers)).customer
  } catch (error) {
    if (sessionEnded(error) || missing(error)) return undefined
    throw error
  }
})

const LINE_SUMS = ["original_total", "discount_total", "tax_total", "total"].map((name) => `+items.${name}`).join()

/** The shopper's open cart, if there is one. */
export const getCart = cache(async (): Promise<HttpTypes.StoreCart | undefined> => {
  const id = await getCartId()
  if (!id) return undefined
  try {
    const { cart } = await medusa.store.cart.retrieve(
      id,
      { fields: `+completed_at,${LINE_SUMS},*shipping_methods` },
      await authHeaders(),
    )
    return (cart as { completed_at?: string | null }).completed_at ? undefined : cart
  } catch (error) {
    if (missing(error)) return undefined
    throw error
  }
})

export async function listShippingOptions(cartId: string): Promise<HttpTypes.StoreCartShippingOption[]> {
  return (await medusa.store.fulfillment.listCartOptions({ cart_id: cartId })).shipping_options
}

export async function listOrders(): Promise<HttpTypes.StoreOrder[]> {
  return (await medusa.store.order.list({ limit: 20, order: "-created_at" }, await authHeaders())).orders
}

/** Undefined if there is no such order. */
export async function getOrder(id: string): Promise<HttpTypes.StoreOrder | undefined> {
  try {
    return (await medusa.store.order.retrieve(id, {}, await authHeaders())).order
  } catch (error) {
    if (missing(error)) return undefined
    throw error
  }
}
