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
  const { max_dust: most, max_value: mostValue, currency_code: currency } = quote
  if (points === most) return { points, value: Number(mostValue) }
  // Medusa's decimals, which are not always those of browsers: it has none for IRT.
  const scale = 10 ** (mostValue.split(".")[1] ?? "").length
  const rate = Number(programme?.redeem.rates[currency])
  // The small amount removes noise of binary fractions, which would round 1.15 down to 1.14. Without the rules, the
  // quote's own ratio is the best estimate.
  const units = Math.floor((rate ? points / rate : (points * Number(mostValue)) / most) * scale + 1e-6)
  return { points: rate ? Math.ceil((units / scale) * rate - 1e-6) : points, value: units / scale }
}
