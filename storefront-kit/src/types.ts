import type { components } from "./api.generated.js"

type Schemas = components["schemas"]

/** What a shopper may know of the rules. */
export type Programme = Schemas["PublicProgramme"]
/** The shop's own word for points. */
export type PointsName = Required<Schemas["PointsName"]>
/** Points settings by product id; products without settings are missing. */
export type Products = Record<string, Schemas["ProductResponse"]>
/** A reward of the catalogue. */
export type Reward = Schemas["RewardResponse"]
export type Forecast = Schemas["Forecast"]
/** A product with the price shown for one unit, in major units. `quantity` is 1 when missing. */
export type ForecastItem = Omit<Schemas["ForecastItem"], "quantity"> & { quantity?: number }
export type Balance = Schemas["BalanceResponse"]
export type Tier = Schemas["TierResponse"]
export type Transaction = Schemas["OwnTransactionResponse"]
export type Transactions = Schemas["OwnTransactionListResponse"]
/** What an order did to the customer's points. */
export type OrderPoints = Schemas["OwnOrderResponse"]
/** What the cart of a signed-in customer earns, and what points can pay for it. */
export type CustomerQuote = Schemas["Quote"] & { guest: false }
/** What the cart of a guest would put into escrow until the guest opens an account. */
export type GuestQuote = Schemas["GuestQuote"] & { guest: true }
export type Quote = CustomerQuote | GuestQuote
/** A reward for this cart and this customer, with the reason if it cannot be redeemed. */
export type QuotedReward = Schemas["QuotedReward"]
export type QuotedRedemption = Schemas["QuotedRedemption"]
export type PricedItem = Schemas["PricedItem"]
export type RulePart = Schemas["RulePartResponse"]
export type Redemption = Schemas["RedemptionResponse"]
export type Redemptions = Schemas["RedemptionListResponse"]
export type RedemptionState = Redemption["state"]
export type Referral = Schemas["ReferralResponse"]

type Item = { product_id: string; quantity: number }

/** What to redeem for a cart. `pay: "dust_only"` pays all lines that only points can pay. */
export type CartRedemption = { dust: number | "max" } | { pay: "dust_only" } | { items: Item[] } | { reward_id: string }

/** What to redeem: for a cart, or without one, as a code to enter later. */
export type RedemptionRequest =
  | (CartRedemption & { cart_id: string })
  | { dust: number; currency_code: string }
  | { items: Item[] }
  | { reward_id: string }

/** An error to show. A plain object, because Next.js cannot send an `Error` to the browser. */
export interface DustError {
  /** Stable, for programs: Dust's own codes, or one of `ClientErrorCode`. */
  code: string
  /** A sentence for shoppers, in English. */
  message: string
  /** HTTP status, if there was a response. */
  status?: number
  /** With `insufficient_dust`: the points that can be spent. */
  available?: number
  /** For developers: the request and what went wrong. Has no tokens. */
  detail?: string
}

/** Exactly one of `data` and `error` is set. */
export type DustResult<T> = { data: T; error?: undefined } | { data?: undefined; error: DustError }
