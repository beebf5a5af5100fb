/**
 * What the kit needs of each answer. An answer without it is not Dust's, such as a page of a proxy that is JSON too: the
 * client then returns an error. Additional keys are welcome.
 */
type Check = (value: unknown) => boolean

const text: Check = (value) => typeof value === "string"
const number: Check = (value) => typeof value === "number"
const moment: Check = (value) => text(value) && !Number.isNaN(Date.parse(value as string))
/** A number that travels as text. */
const amount: Check = (value) => text(value) && value !== "" && Number.isFinite(Number(value))
const currency: Check = (value) => /^[a-z]{3}$/i.test(String(value))

const isObject = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === "object" && !Array.isArray(value)
const orNull = (check: Check): Check => (value) => value === null || check(value)
const maybe = (check: Check): Check => (value) => value === undefined || value === null || check(value)
const list = (check: Check): Check => (value) => Array.isArray(value) && value.every(check)
const byKey = (check: Check): Check => (value) => isObject(value) && Object.values(value).every(check)
const object = (fields: Record<string, Check>): Check => {
  const checks = Object.entries(fields)
  return (value) => isObject(value) && checks.every(([key, check]) => check(value[key]))
}

const breakdown = list(object({ rule: text, dust: number }))
const pricedItems = list(object({ product_id: text, quantity: number, dust: number }))
const level = object({ name: text, benefits: list(text) })
const programme = object({
  name: object({ one: maybe(text), many: maybe(text) }),
  time_zone: text,
  redeem: object({ rates: byKey(amount) }),
  bonuses: object({ signup: maybe(number) }),
  tiers: list(level),
})
const tier = object({
  name: orNull(text),
  factor: amount,
  progress: amount,
  until: orNull(moment),
  currency_code: orNull(currency),
  next: orNull(object({ name: text, missing: amount })),
})
const balance = object({
  balance: number,
  available: number,
  held: number,
  pending: number,
  expiring: list(object({ amount: number, expires_at: moment })),
  pending_lots: list(object({ amount: number, matures_at: orNull(moment) })),
  tier: maybe(tier),
})
const transaction = object({
  id: text,
  amount: number,
  kind: text,
  description: text,
  state: text,
  event_at: moment,
  matures_at: orNull(moment),
  expires_at: orNull(moment),
  order_number: orNull(text),
})
const order = object({
  order_id: text,
  state: text,
  earned: number,
  breakdown,
  pending: number,
  matures_at: orNull(moment),
  taken_back: number,
  spent: number,
  spent_on_lines: list(object({ line_item_id: text, dust: number })),
  given_back: number,
})
const quotedRedemption = { id: text, code: orNull(text), kind: text, dust: number, value: orNull(amount), expires_at: moment }
const quotedReward = object({
  id: text,
  name: text,
  dust: number,
  reason: orNull(text),
  reason_code: orNull(text),
  missing_dust: number,
  missing_amount: orNull(amount),
})
const quote = object({
  currency_code: currency,
  earn: number,
  breakdown,
  min_dust: number,
  max_dust: number,
  max_value: amount,
  reason: orNull(text),
  reason_code: orNull(text),
  available: number,
  dust_only_due: number,
  dust_only_items: pricedItems,
  optional: pricedItems,
  redemptions: list(object(quotedRedemption)),
  rewards: list(quotedReward),
})
const guestQuote = object({
  currency_code: currency,
  escrow: number,
  breakdown,
  account_items: list(object({ product_id: text })),
  escrow_days: number,
})
const state: Check = (value) => /^(pending|active|captured|released|failed)$/.test(String(value))
const redemption = object({ ...quotedRedemption, state, currency_code: orNull(currency), reason: orNull(text) })
const referral = object({
  code: text,
  offer: orNull(object({ referrer: number, referred: number })),
  referred_by: orNull(object({ bonus: number })),
  brought: object({ stated: number, dust: number }),
})
const cursor = orNull(text)

const SHAPES: Record<string, Check> = {
  "GET /store/dust/programme": programme,
  "GET /store/dust/products": object({ products: byKey(object({ dust_price: orNull(number) })) }),
  "GET /store/dust/rewards": object({ rewards: list(object({ id: text, name: text, dust: number })) }),
  "POST /store/dust/forecast": object({ items: list(object({ product_id: text, earn: number })), total: number }),
  "GET /store/dust": object({ points: number }),
  "GET /store/dust/balance": balance,
  "GET /store/dust/transactions": object({ transactions: list(transaction), next_cursor: cursor }),
  "GET /store/dust/orders": object({ orders: list(order) }),
  "GET /store/dust/orders/{order_id}": order,
  "POST /store/dust/quote": quote,
  "POST /store/dust/quote/guest": guestQuote,
  "GET /store/dust/redemptions": object({ redemptions: list(redemption), next_cursor: cursor }),
  "POST /store/dust/redemptions": object({ redemption }),
  "GET /store/dust/redemptions/{redemption_id}": object({ redemption }),
  "DELETE /store/dust/redemptions/{redemption_id}": object({ redemption }),
  "GET /store/dust/referral": referral,
  "POST /store/dust/referral": referral,
}

/** Whether this is what Dust answers to the request, such as `GET /store/dust/balance`. */
export function isAnswer(request: string, body: unknown): boolean {
  return SHAPES[request]?.(body) ?? false
}
