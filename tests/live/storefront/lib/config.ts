/** What the starter's `@lib/config` gives: Medusa's JS SDK, set up for the shop. */
import Medusa from "@medusajs/js-sdk"

export const sdk = new Medusa({
  baseUrl: process.env.MEDUSA_BACKEND_URL!,
  publishableKey: process.env.PUBLISHABLE_KEY!,
})
