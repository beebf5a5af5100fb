import "server-only"
import { createDustServer } from "dust-storefront-kit/next"
import { medusaUrl, publishableKey } from "./medusa"
import { getCartId, getToken } from "./session"

/** All calls to Dust, through Medusa, as the shopper of this request. */
export const dust = createDustServer({ baseUrl: medusaUrl, publishableKey, getToken, getCartId })
