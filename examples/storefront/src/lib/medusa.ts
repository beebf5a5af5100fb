import Medusa, { FetchError } from "@medusajs/js-sdk"

export const medusaUrl = process.env.MEDUSA_URL ?? "http://127.0.0.1:9000"
export const publishableKey = process.env.MEDUSA_PUBLISHABLE_KEY ?? ""

/** One client for all shoppers, so it keeps no token: each call gets the headers of its shopper. */
export const medusa = new Medusa({
  baseUrl: medusaUrl,
  publishableKey,
  auth: { type: "jwt", jwtTokenStorageMethod: "nostore" },
})

const MESSAGES: Record<string, string> = {
  "Identity with email already exists": "There is an account with this e-mail address. Log in instead.",
  "Invalid email or password": "The e-mail address or the password is wrong.",
}

/** Whether Medusa no longer accepts the shopper's token. */
export const sessionEnded = (error: unknown) => error instanceof FetchError && error.status === 401

/** Whether the thing that was asked for does not exist, or belongs to another customer. */
export const missing = (error: unknown) => error instanceof FetchError && (error.status === 404 || error.status === 403)

/** What to tell the shopper about a failed call: Medusa's messages are for developers. */
export function shopperMessage(error: unknown, otherwise: string): string {
  if (!(error instanceof FetchError)) return "The shop does not answer right now. Please try again in a minute."
  const known = Object.entries(MESSAGES).find(([text]) => error.message.includes(text))
  if (known) return known[1]
  if (error.message.includes("inventory")) return "There are not that many in stock. Please choose fewer."
  return otherwise
}
