import "server-only"
import type { HttpTypes } from "@medusajs/types"
import { cache } from "react"
import { customerOf, medusa, missing, unauthorized } from "./medusa"
import { authHeaders, getCartId, getRegionId, getToken } from "./session"

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

/** One page of a list. */
export interface Page<T> {
  items: T[]
  page: number
  pages: number
}

const MAX_PAGE = 10_000

/** The number of a page in an address, from 1. */
export function pageOf(typed: string | string[] | undefined): number {
  const page = Number(typed)
  return Number.isInteger(page) && page >= 1 && page <= MAX_PAGE ? page : 1
}

const pagesOf = (count: number, size: number) => Math.max(1, Math.ceil(count / size))

/** In the order of their handles, which are unique: each product is on one page. */
export const listProducts = cache(async (page = 1, size = 50): Promise<Page<HttpTypes.StoreProduct>> => {
  const region = await getRegion()
  const query = { ...pricesFor(region), limit: size, offset: (page - 1) * size, order: "handle" }
  const { products, count } = await medusa.store.product.list(query)
  return { items: products, page, pages: pagesOf(count, size) }
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
    if (unauthorized(error) || missing(error)) return undefined
    throw error
  }
})

const LINE_SUMS = ["original_total", "discount_total", "tax_total", "total"].map((name) => `+items.${name}`).join()

const CART = { fields: `+completed_at,+customer_id,${LINE_SUMS},*shipping_methods` }

/** The shopper's open cart, if there is one. */
export const getCart = cache(async (): Promise<HttpTypes.StoreCart | undefined> => {
  const id = await getCartId()
  if (!id) return undefined
  try {
    const { cart } = await medusa.store.cart.retrieve(id, CART, await authHeaders())
    return (cart as { completed_at?: string | null }).completed_at ? undefined : await owned(cart)
  } catch (error) {
    if (missing(error)) return undefined
    throw error
  }
})

/**
 * The cart, as the customer's who is logged in. It may still be a guest's, as Medusa gives it to the customer in a call of
 * its own. When that fails, the next page tries again: until then the customer's points cannot pay for it.
 */
async function owned(cart: HttpTypes.StoreCart): Promise<HttpTypes.StoreCart> {
  const token = await getToken()
  try {
    if (!token || cart.customer_id === customerOf(token)) return cart
    return (await medusa.store.cart.transferCart(cart.id, CART, await authHeaders())).cart
  } catch {
    return cart
  }
}

export async function listShippingOptions(cartId: string): Promise<HttpTypes.StoreCartShippingOption[]> {
  return (await medusa.store.fulfillment.listCartOptions({ cart_id: cartId })).shipping_options
}

const ORDERS = 20

/** The customer's orders, newest first. */
export async function listOrders(page: number): Promise<Page<HttpTypes.StoreOrder>> {
  const query = { limit: ORDERS, offset: (page - 1) * ORDERS, order: "-created_at" }
  const { orders, count } = await medusa.store.order.list(query, await authHeaders())
  return { items: orders, page, pages: pagesOf(count, ORDERS) }
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
