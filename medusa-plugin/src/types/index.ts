/**
 * What the routes below /store/dust and /admin/dust answer with. The bridge's types are generated from its OpenAPI schema
 * (`npm run types`); those of the plugin's own routes stand here.
 */

import type { components } from "./bridge.generated"

export type { DustOptions } from "../modules/dust/options"

type Schemas = components["schemas"]

/** Every error answer (RFC 9457). `message` is the same sentence as `detail`. */
export type Problem = Omit<Schemas["Problem"], "errors"> & {
  message: string
  errors?: { field: string; message: string }[]
  /** With `insufficient_dust`: what may be spent. */
  available?: number
}

export type DustBalance = Schemas["BalanceResponse"]
export type DustTier = Schemas["TierResponse"]
export type DustTransaction = Schemas["CustomerTransaction"]
export type DustTransactionList = Schemas["CustomerTransactionListResponse"]
/** By product id; products without dust settings are left out. */
export type DustProducts = Schemas["ProductMapResponse"]
/** Something of the catalogue that has one price in points. */
export type DustReward = Schemas["RewardResponse"]
export type DustRewardList = Schemas["RewardListResponse"]
/** What a shopper may know of the rules. */
export type DustPublicProgramme = Schemas["PublicProgramme"]
/** A reward for this cart and this customer. */
export type DustQuotedReward = Schemas["QuotedReward"]
export type DustPricedItem = Schemas["PricedItem"]
export type DustQuote = Schemas["Quote"]
export type DustRedemption = Schemas["RedemptionResponse"]
export type DustRedemptionList = Schemas["RedemptionListResponse"]
/** `GET` and `POST /store/dust/referral`. */
export type DustReferral = Schemas["ReferralResponse"]
/** `POST /store/dust/quote/guest`. */
export type DustGuestQuote = Schemas["GuestQuote"]

/** The kinds of redemption; the schema has all their fields in one object. */
export type DustRedemptionRequest =
  | { dust: number | "max"; cart_id: string }
  | { dust: number; currency_code: string }
  | { cart_id: string; pay: "dust_only" }
  | { items: { product_id: string; quantity: number }[]; cart_id?: string }
  | { reward_id: string; cart_id?: string }

export type DustOverview = Schemas["Overview"]
/** Something that is wrong now, and what to do. */
export type DustAlert = Schemas["AlertResponse"]
export type DustAlertList = Schemas["AlertListResponse"]
/** Why a balance is what it is: of what it consists, and how it came about, oldest first. */
export type DustExplanation = Schemas["ExplanationResponse"]
export type DustProductSettings = Schemas["AdminProduct"]
export type DustLiability = Schemas["LiabilityResponse"]
export type DustMovements = Schemas["MovementsListResponse"]
export type DustExpiring = Schemas["ExpiringListResponse"]
export type DustBreakage = Schemas["CohortListResponse"]
export type DustCloses = Schemas["CloseListResponse"]
export type DustMarketing = Schemas["MarketingResponse"]
export type DustForecasts = Schemas["ForecastsResponse"]
/** A customer who has or had points. */
export type DustMember = Schemas["MemberResponse"]
export type DustMemberList = Schemas["MemberListResponse"]
/** Points that a merchant gives to one customer or to many. */
export type DustBonus = Schemas["BonusResponse"]
/** The points of guest orders that a customer claims, or would claim. */
export type DustClaim = Schemas["ClaimResponse"]
export type DustMerge = Schemas["MergeResponse"]
export type DustUnmerge = Schemas["UnmergeResponse"]
/** What an order has earned, spent and given back, and why. */
export type DustOrder = Schemas["OrderPointsResponse"]
/** What a change of an order would do to its customer's points. */
export type DustPreview = Schemas["PreviewResponse"]
/** A draft of the rules. `merged` is what publishing it would put in force. */
export type DustDraft = Omit<Schemas["DraftResponse"], "document" | "merged"> & { document: DustRules; merged: DustRules }
export type DustDraftSummary = Schemas["DraftSummary"]
export type DustDraftList = Schemas["DraftListResponse"]
/** What past orders would have earned by other rules. */
export type DustSimulation = Schemas["SimulationResponse"]
export type DustSimulationResult = Schemas["SimulationResult"]
export type DustEvent = Schemas["EventResponse"]
/** One event with its body and its attempts. */
export type DustEventDetail = Schemas["EventDetail"]
/** Why events have failed, with the number of events of each cause. */
export type DustCauses = Schemas["CauseListResponse"]
export type DustOutgoingWebhook = Schemas["OutgoingWebhookResponse"]
export type DustOutgoingWebhookList = Schemas["OutgoingWebhookListResponse"]
export type DustReplay = Schemas["ReplayResponse"]
export type DustOutgoingWebhookDetail = Schemas["OutgoingWebhookDetail"]
export type DustEventList = Schemas["EventListResponse"]
export type DustMultiplier = Schemas["Multiplier"]
/** What a merchant writes; the storefront gets it as a `DustReward`. */
export type DustRewardRule = Schemas["Reward"]
/** The rules. Numbers with places are strings, so that none of them is rounded on the way. */
export type DustProgramme = Schemas["ProgrammeResponse"]
/** The rules alone, without who saved them when. */
export type DustRules = Omit<DustProgramme, "version" | "author" | "created_at">
export type DustVersionList = Schemas["VersionListResponse"]

/** What is on its way to the bridge, and a page of what could not be delivered; `found` counts all pages. */
export type DustDeliveries = {
  waiting: number
  delivered: number
  rejected: number
  oldest_waiting_at: string | null
  found: number
  next_cursor: string | null
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
