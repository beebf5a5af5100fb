import { valueAt, type Json } from "./document"

// Numbers of the rules have at most six places. They are computed as whole millionths, so that no example is a cent off.
const MILLION = 1_000_000n
const NUMBER = /^(\d{1,13})(?:\.(\d{1,6}))?$/

/** A number of the rules in millionths; undefined while it is none that the rules may have. */
export function millionths(value: Json | undefined): bigint | undefined {
  const [, whole, places = ""] = NUMBER.exec(String(value ?? "").trim()) ?? []
  return whole === undefined ? undefined : BigInt(whole + places.padEnd(6, "0"))
}

/** The points that an order over `amount` major units earns, alone on its day; undefined without a rate. */
export function earnedPoints(rules: Json, currency: string, amount: number, factor: Json = "1"): number | undefined {
  const rate = millionths(valueAt(rules, `earn.rates.${currency}`))
  const times = millionths(factor)
  if (!rate || times === undefined) return undefined
  const exact = divided(BigInt(amount) * rate * times, MILLION, "half_up")
  const points = Number(divided(exact, MILLION, valueAt(rules, "earn.rounding")))
  const limits = ["per_order", "per_day", "per_customer.dust"].map((name) => limit(rules, `earn.limits.${name}`))
  return Math.min(points, ...limits)
}

/** The discount for points in major units, such as `5.00`; undefined without a rate. */
export function discountFor(rules: Json, currency: string, digits: number, points: number): string | undefined {
  const rate = millionths(valueAt(rules, `redeem.rates.${currency}`))
  if (!rate || !Number.isSafeInteger(points) || points < 1) return undefined
  const units = (BigInt(points) * MILLION * 10n ** BigInt(digits)) / rate
  return inMajorUnits(units, digits)
}

/** As many points as an example can have: 500, or the nearest number that the limits allow. */
export function examplePoints(rules: Json): number {
  const [least, most] = ["min_dust", "max_dust"].map((name) => valueAt(rules, `redeem.${name}`))
  return Math.min(Math.max(500, wholeOr(least, 1)), wholeOr(most, Infinity))
}

/** The price of an example: 50.00, or 5000 in a currency without cents. */
export function exampleAmount(digits: number): { amount: number; shown: string } {
  const amount = digits ? 50 : 5000
  return { amount, shown: amount.toFixed(digits) }
}

function limit(rules: Json, field: string): number {
  return wholeOr(valueAt(rules, field), Infinity)
}

function wholeOr(value: Json | undefined, otherwise: number): number {
  return typeof value === "number" && value >= 1 ? value : otherwise
}

function divided(value: bigint, by: bigint, rounding: Json | undefined): bigint {
  const up = rounding === "ceiling" ? by - 1n : rounding === "half_up" ? by / 2n : 0n
  return (value + up) / by
}

function inMajorUnits(units: bigint, digits: number): string {
  if (digits === 0) return units.toString()
  const text = units.toString().padStart(digits + 1, "0")
  return `${text.slice(0, -digits)}.${text.slice(-digits)}`
}
