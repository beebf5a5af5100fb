/** What the routes below /store/dust and /admin/dust answer with; the bridge's `/docs` describes each. */

export type { DustOptions } from "../modules/dust/options"

/** Every error answer (RFC 9457). `message` is the same sentence as `detail`. */
export type Problem = {
  type: string
  title: string
  status: number
  detail: string
  message: string
  /** Stable, for programs: `insufficient_dust`. */
  code: string
  errors?: { field: string; message: string }[]
  /** With `insufficient_dust`: what may be spent. */
  available?: number
}

/** `available` is what may be spent now: `balance` less `held`. `pending` is earned, and not part of `balance` yet. */
export type DustBalance = {
  customer_id: string
  balance: number
  available: number
  held: number
  pending: number
  expiring: { amount: number; expires_at: string }[]
  /** What becomes spendable when; `matures_at` is null for points of an order that is not paid yet. */
  pending_lots: { amount: number; matures_at: string | null }[]
  /** Null while the programme has no tiers. */
  tier?: DustTier | null
}

/** `name` is null before the first level; `until` is when it is lost if no order comes. Numbers with places are strings. */
export type DustTier = {
  name: string | null
  factor: string
  /** Points, or money in major units, at which the tier begins; null before the first level. */
  from: string | null
  /** Points, or money in major units, that count within the window. */
  progress: string
  until: string | null
  basis: "earned" | "spent"
  currency_code: string | null
  next: { name: string; from: string; missing: string } | null
}

export type DustTransaction = {
  id: string
  /** Above zero for a credit, below for a debit. */
  amount: number
  type: string
  kind: string
  reference_type: string
  reference_id: string
  description: string
  balance_after: number
  event_at: string
  created_at: string
}

export type DustTransactionList = { transactions: DustTransaction[]; next_cursor: string | null }

/** By product id; products without dust settings are left out. */
export type DustProducts = {
  products: Record<string, { dust_only: boolean; dust_price: number | null }>
  next_cursor: string | null
}

/** Something of the catalogue that has one price in dust. Sums are in major units, by currency. */
export type DustReward = {
  id: string
  name: string
  kind: "percentage" | "free_shipping" | "free_product"
  dust: number
  percent: string | null
  max_value: Record<string, string>
  product_id: string | null
  quantity: number | null
  min_cart: Record<string, string>
  currency_codes: string[]
  /** Whether it can be redeemed with a `cart_id` only. */
  needs_cart: boolean
}

export type DustRewardList = { rewards: DustReward[] }

/** What a shopper may know of the rules. Rates are points for, or worth, one major unit, by currency. */
export type DustPublicProgramme = {
  /** The shop's word for points. */
  name: { one: string; many: string }
  earn: { rates: Record<string, string> }
  redeem: { rates: Record<string, string>; min_dust: number; max_dust: number | null; max_share: string }
  bonuses: {
    signup: number
    referral: { referrer: number; referred: number; min_earned: number; max_per_30_days: number | null }
  }
  tiers: { name: string; from: string; factor: string; benefits: string[] }[]
  rewards: DustReward[]
  expires_after_days: number | null
}

/** A reward for this cart and this customer; `reason` says why it does not fit the cart. */
export type DustQuotedReward = DustReward & {
  affordable: boolean
  fits: boolean
  /** Why it cannot be redeemed now; null when it can. */
  reason: string | null
  reason_code: string | null
  missing_dust: number
  missing_amount: string | null
}

export type DustPricedItem = { product_id: string; quantity: number; dust: number }

export type DustQuote = {
  currency_code: string
  earn: number
  /** The smallest discount that can be redeemed. */
  min_dust: number
  /** What `max` would redeem; 0 when no discount can be redeemed. */
  max_dust: number
  /** Major units, such as `5.00`. */
  max_value: string
  available: number
  /** What the dust-only lines still cost, less what is paid already. */
  dust_only_due: number
  /** The same as `dust_only_due`. */
  dust_only: number
  dust_only_items: DustPricedItem[]
  /** Units that points or money may pay for, and that points do not pay for yet. */
  optional: DustPricedItem[]
  /** The customer's open redemptions of this cart. */
  redemptions: Pick<DustRedemption, "id" | "code" | "kind" | "dust" | "value" | "expires_at">[]
  rewards: DustQuotedReward[]
}

export type DustRedemptionRequest =
  | { dust: number | "max"; cart_id: string }
  | { dust: number; currency_code: string }
  | { cart_id: string; pay: "dust_only" }
  | { items: { product_id: string; quantity: number }[]; cart_id?: string }
  | { reward_id: string; cart_id?: string }

export type DustRedemption = {
  id: string
  customer_id: string
  state: "pending" | "active" | "captured" | "released" | "failed"
  kind: "fixed" | "products" | "percentage" | "free_shipping" | "free_product"
  dust: number
  dust_captured: number
  /** The discount in major units; null when only the cart can tell it. */
  value: string | null
  currency_code: string | null
  reward_id: string | null
  percent: string | null
  /** What the cart's items must cost for the code to take anything off, with tax. */
  min_cart: string | null
  promotions: { code: string; promotion_id: string | null; product_id: string | null; quantity: number | null }[]
  code: string | null
  cart_id: string | null
  order_id: string | null
  expires_at: string
  reason: string | null
  created_at: string
}

export type DustRedemptionList = { redemptions: DustRedemption[]; next_cursor: string | null }

/** `GET` and `POST /store/dust/referral`. */
export type DustReferral = {
  code: string
  offer: { referrer: number; referred: number } | null
  referred_by: { stated_at: string; bonus: number; received: number } | null
  brought: { stated: number; qualified: number; dust: number; notes: string[] }
}

/** `POST /store/dust/quote/guest`. */
export type DustGuestQuote = { currency_code: string; set_aside: number; escrow_days: number }

export type DustOverview = {
  customers: number
  outstanding: number
  held: number
  pending: number
  expiring: number
  expiring_until: string
  open_redemptions: number
  waiting_events: number
  failed_events: number
  oldest_waiting_event_at: string | null
  /** The newest orders with products for dust only that dust has not paid. */
  unpaid_orders: string[]
}

/** Why a balance is what it is: of what it consists, and how it came about, oldest first. */
export type DustExplanation = {
  balance: DustBalance
  summary: string[]
  steps: {
    sentence: string
    transaction_id: string
    amount: number
    balance_after: number
    reference_type: string
    reference_id: string
    programme_version: number | null
    event_at: string
    lots: { lot_id: string; dust: number; expires_at: string | null }[]
  }[]
}

export type DustProductSettings = {
  product_id: string
  dust_only: boolean
  dust_price: number | null
  updated_by: string
  updated_at: string
  /** Of a change: what could not be checked, and what to do. */
  warning?: string | null
  /** Whether Medusa's product metadata has these settings by now. */
  mirrored: boolean
  mirror_error: string | null
}

export type DustEvent = {
  id: string
  type: string
  subject: string | null
  state: "pending" | "handled" | "failed" | "ignored"
  attempts: number
  reason: string | null
  received_at: string
}

export type DustEventList = { events: DustEvent[]; next_cursor: string | null }

export type DustMultiplier = {
  name: string
  factor: string
  product_ids: string[]
  category_ids: string[]
  collection_ids?: string[]
  customer_group_ids?: string[]
  starts_at: string | null
  ends_at: string | null
}

/** What a merchant writes; the storefront gets it as a `DustReward`. */
export type DustRewardRule = {
  id: string
  name: string
  kind: DustReward["kind"]
  dust: number
  percent: string | null
  max_value: Record<string, string>
  product_id: string | null
  quantity: number | null
  min_cart: Record<string, string>
  currency_codes: string[]
}

/** The rules. Numbers with places are strings, so that none of them is rounded on the way. */
export type DustProgramme = {
  version: number
  author: string
  created_at: string | null
  /** IANA name. Missing in versions from before it existed: UTC. */
  time_zone?: string
  earn: {
    rates: Record<string, string>
    basis: { include_tax: boolean; include_shipping: boolean; include_credit?: boolean }
    rounding: "floor" | "half_up" | "ceiling"
    when: "order.placed" | "payment.captured" | "order.completed"
    pending_days: number
    /** Missing in versions from before it existed. */
    pending_until_paid?: boolean
    expires_after_days: number | null
    excluded_product_ids: string[]
    excluded_category_ids?: string[]
    excluded_collection_ids?: string[]
    fixed?: { product_id: string; dust: number }[]
    multipliers: DustMultiplier[]
    limits?: { per_order: number | null; per_day: number | null; per_customer: { dust: number; days: number } | null }
  }
  tiers?: {
    basis: "earned" | "spent"
    currency_code: string | null
    window_days: number
    levels: { name: string; from: string; factor: string }[]
  }
  bonuses: { signup: number }
  redeem: {
    rates: Record<string, string>
    min_dust: number
    max_dust: number | null
    max_share: string
    code_ttl_minutes: number
    rewards: DustRewardRule[]
  }
  reversal: { negative_balance: "allow" | "within_balance" }
  guests: { escrow_days: number; claim?: "transfer" | "registration" | "account" }
}

/** What is on its way to the bridge, and what could not be delivered. */
export type DustDeliveries = {
  waiting: number
  delivered: number
  rejected: number
  oldest_waiting_at: string | null
  undelivered: {
    id: string
    type: string
    state: "waiting" | "rejected"
    attempts: number
    occurred_at: string
    next_attempt_at: string
    last_error: string | null
  }[]
}
