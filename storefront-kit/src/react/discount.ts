import type { CustomerQuote, Programme } from "../types.js"

/** What points take off: `value` in major units, and the `points` that this takes, which may be fewer. */
interface Discount {
  points: number
  value: number
}

/**
 * The discount for points, by the rules of Dust: rounded down to the currency's smallest unit, and points without an
 * effect are not taken. At 100 points per yen, 199 points are 1 yen for 100 points.
 */
export function discountFor(points: number, quote: CustomerQuote, programme: Programme | undefined): Discount {
  if (points === quote.max_dust) return { points, value: Number(quote.max_value) }
  const rate = Number(programme?.redeem.rates[quote.currency_code])
  // Without the rules, the quote's own ratio is the best estimate.
  if (!rate) return { points, value: (points * Number(quote.max_value)) / quote.max_dust }
  const scale = 10 ** digitsOf(quote.currency_code)
  // The small amount removes noise of binary fractions, which would round 1.15 down to 1.14.
  const units = Math.floor((points / rate) * scale + 1e-6)
  return { points: Math.ceil((units / scale) * rate - 1e-6), value: units / scale }
}

/** Two for EUR, none for JPY. */
function digitsOf(currency: string): number {
  const options = { style: "currency", currency } as const
  return new Intl.NumberFormat("en", options).resolvedOptions().maximumFractionDigits ?? 2
}
