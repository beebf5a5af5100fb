import type { HttpTypes } from "@medusajs/types"

/** Less than the smallest coin: Medusa's amounts are binary fractions. */
export const isNothing = (amount: number) => Math.abs(amount) < 0.005

export interface Price {
  /** What the shopper pays for one, with tax. */
  shown: number
  /** Without tax. */
  net: number
}

/** The lowest price of a product in the shopper's region, undefined if it has none there. */
export function lowestPrice({ variants }: HttpTypes.StoreProduct): Price | undefined {
  const prices = (variants ?? []).flatMap(({ calculated_price: price }) => {
    // A region without tax has only the one amount.
    const amount = price?.calculated_amount
    if (typeof amount !== "number") return []
    return [{ shown: price?.calculated_amount_with_tax ?? amount, net: price?.calculated_amount_without_tax ?? amount }]
  })
  return prices.sort((first, second) => first.shown - second.shown)[0]
}
