import type {
  Balance,
  CustomerQuote,
  GuestQuote,
  OrderPoints,
  Programme,
  QuotedReward,
  Redemption,
  Transaction,
} from "../src/index.js"

export const NOW = Date.parse("2026-11-25T12:00:00Z")
export const inMinutes = (minutes: number): string => new Date(NOW + minutes * 60_000).toISOString()

export const PROGRAMME: Programme = {
  name: { one: "star", many: "stars" },
  time_zone: "UTC",
  earn: { rates: { eur: "1" } },
  redeem: { rates: { eur: "100", jpy: "1" }, min_dust: 100, max_dust: null, max_share: "1" },
  bonuses: { signup: 50, referral: { referrer: 100, referred: 50, min_earned: 0, max_per_30_days: null } },
  tiers: [
    { name: "Silver", from: "0", factor: "1", benefits: ["Free returns"] },
    { name: "Gold", from: "500", factor: "1.5", benefits: ["Free shipping"] },
  ],
  rewards: [],
  expires_after_days: null,
}

export const BALANCE: Balance = {
  customer_id: "cus_1",
  balance: 1300,
  available: 1200,
  held: 100,
  pending: 30,
  expiring: [{ amount: 200, expires_at: "2026-12-31T23:00:00Z" }],
  pending_lots: [
    { amount: 20, matures_at: "2026-12-09T12:00:00Z" },
    { amount: 10, matures_at: null },
  ],
  tier: {
    name: "Silver",
    factor: "1",
    from: "0",
    progress: "380",
    until: null,
    basis: "earned",
    currency_code: null,
    next: { name: "Gold", from: "500", missing: "120" },
  },
}

export const QUOTE: CustomerQuote = {
  guest: false,
  currency_code: "eur",
  earn: 45,
  breakdown: [
    { rule: "rate", dust: 30 },
    { rule: "double week", dust: 15 },
  ],
  min_dust: 100,
  max_dust: 1000,
  max_value: "10.00",
  reason: null,
  reason_code: null,
  available: 1200,
  dust_only_due: 0,
  dust_only: 0,
  dust_only_items: [],
  optional: [],
  redemptions: [],
  rewards: [],
  now: inMinutes(0),
}

export const GUEST_QUOTE: GuestQuote = {
  guest: true,
  currency_code: "eur",
  escrow: 25,
  breakdown: [{ rule: "rate", dust: 25 }],
  account_items: [],
  escrow_days: 90,
}

export const REDEMPTION: Redemption = {
  id: "dred_1",
  customer_id: "cus_1",
  state: "active",
  kind: "fixed",
  dust: 500,
  dust_captured: 0,
  value: "5.00",
  currency_code: "eur",
  reward_id: null,
  percent: null,
  min_cart: null,
  promotions: [],
  code: "DUST-ABC",
  cart_id: "cart_1",
  order_id: null,
  expires_at: inMinutes(60),
  reason: null,
  created_at: inMinutes(0),
}

export const APPLIED = {
  id: "dred_1",
  code: "DUST-ABC",
  kind: "fixed" as const,
  dust: 500,
  value: "5.00",
  expires_at: inMinutes(60),
}

export const REWARD: QuotedReward = {
  id: "ten",
  name: "10 % off",
  kind: "percentage",
  dust: 300,
  percent: "10",
  max_value: {},
  product_id: null,
  quantity: null,
  min_cart: {},
  currency_codes: [],
  needs_cart: false,
  affordable: true,
  fits: true,
  reason: null,
  reason_code: null,
  missing_dust: 0,
  missing_amount: null,
}

export const TRANSACTION: Transaction = {
  id: "dtx_1",
  amount: 45,
  type: "credit",
  kind: "earn",
  reference_type: "order",
  reference_id: "order_1",
  description: "Order 1001",
  balance_after: 1300,
  event_at: "2026-11-20T12:00:00Z",
  created_at: "2026-11-20T12:00:01Z",
  state: "booked",
  matures_at: null,
  expires_at: null,
  order_number: "1001",
}

export const ORDER: OrderPoints = {
  order_id: "order_1",
  order_number: "1001",
  state: "booked",
  earned: 45,
  breakdown: [
    { rule: "rate", dust: 30 },
    { rule: "double week", dust: 15 },
  ],
  pending: 0,
  matures_at: null,
  taken_back: 0,
  spent: 500,
  spent_on_lines: [],
  given_back: 0,
  placed_at: "2026-11-25T11:59:00Z",
}
