import { type DustClient } from "./client.js"
import { clientError, errorOfFailure } from "./errors.js"
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
  /** The cart's id, or why there is none. A browser that blocks its storage throws. */
  async function readCartId(): Promise<DustResult<string>> {
    try {
      const id = await getCartId()
      return id ? { data: id } : { error: clientError("no_cart") }
    } catch (failure) {
      return { error: errorOfFailure(failure, "cart") }
    }
  }

  return {
    ...client,
    async quote() {
      const cart = await readCartId()
      return cart.error ? cart : client.quote(cart.data)
    },
    async redeem(request, key) {
      const cart = await readCartId()
      return cart.error ? cart : client.redeem({ ...request, cart_id: cart.data }, key)
    },
    async releaseCart() {
      const { data: cartId } = await readCartId()
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
