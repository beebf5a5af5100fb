import Medusa, { FetchError } from "@medusajs/js-sdk"
import type { Texts } from "./texts"

export const medusaUrl = process.env.MEDUSA_URL ?? "http://127.0.0.1:9000"
export const publishableKey = process.env.MEDUSA_PUBLISHABLE_KEY ?? ""

/** One client for all shoppers, so it keeps no token: each call gets the headers of its shopper. */
export const medusa = new Medusa({
  baseUrl: medusaUrl,
  publishableKey,
  auth: { type: "jwt", jwtTokenStorageMethod: "nostore" },
})

/** The customer that a token of Medusa's is for: it is empty for a login without a customer. */
export function customerOf(token: string): string {
  const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as { actor_id?: string }
  return claims.actor_id ?? ""
}

/** Texts of the shop for Medusa's messages, which are for developers. */
const KNOWN = {
  "already has an account": "emailTaken",
  "Invalid email or password": "wrongPassword",
  inventory: "outOfStock",
} as const

/** Whether Medusa does not accept a password, or no longer accepts the shopper's token. */
export const unauthorized = (error: unknown) => error instanceof FetchError && error.status === 401

/** Whether the thing that was asked for does not exist, or belongs to another customer. */
export const missing = (error: unknown) => error instanceof FetchError && (error.status === 404 || error.status === 403)

/** Medusa fails or is too busy: whatever the shopper sent may be right. */
const cannotAnswer = ({ status }: FetchError) => status === undefined || status >= 500 || status === 429

/** What to tell the shopper about a failed call. */
export function shopperMessage(error: unknown, otherwise: string, texts: Texts["actions"]): string {
  if (!(error instanceof FetchError) || cannotAnswer(error)) return texts.noAnswer
  const known = Object.entries(KNOWN).find(([message]) => error.message.includes(message))
  return known ? texts[known[1]] : otherwise
}
