import { type DustClient } from "./client.js"
import { clientError } from "./errors.js"
import type { CartRedemption, DustResult, Quote, Redemption } from "./types.js"

/** What components call: the client's methods, with the shopper's own cart in `quote` and `redeem`. */
export interface DustActions extends Omit<DustClient, "quote" | "redeem"> {
  quote(): Promise<DustResult<Quote>>
  redeem(request: CartRedemption, key: string): Promise<DustResult<Redemption>>
  /**
   * Release what the shopper's cart uses. Call it where a shop forgets the cart, such as at a sign-out: nobody can see the
   * cart then, and its points would be on hold until the codes expire.
   */
  releaseCart(): Promise<void>
}

/** The actions of a client. `getCartId` returns the id of the shopper's cart, if there is one. */
export function createDustActions(
  client: DustClient,
  getCartId: () => string | undefined | Promise<string | undefined>,
): DustActions {
  return {
    ...client,
    async quote() {
      const cartId = await getCartId()
      return cartId ? client.quote(cartId) : { error: clientError("no_cart") }
    },
    async redeem(request, key) {
      const cartId = await getCartId()
      return cartId ? client.redeem({ ...request, cart_id: cartId }, key) : { error: clientError("no_cart") }
    },
    async releaseCart() {
      const cartId = await getCartId()
      if (!cartId) return
      // One that is pending gets its code in a moment.
      const open = await Promise.all(
        (["active", "pending"] as const).map((state) => client.redemptions({ cart_id: cartId, state })),
      )
      const redemptions = open.flatMap(({ data }) => data?.redemptions ?? [])
      await Promise.all(redemptions.map(({ id }) => client.release(id)))
    },
  }
}
