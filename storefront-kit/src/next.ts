import { unstable_rethrow } from "next/navigation"
import { cache } from "react"
import { createDustActions, type DustActions } from "./actions.js"
import { createDustClient } from "./client.js"
import { guardRefusal } from "./guard.js"
import { medusaRefusal } from "./medusa-refusals.js"
import type { Messages } from "./messages/en.js"
import { createTexts, wordOf } from "./react/texts.js"
import type { DustResult, PointsName, Programme } from "./types.js"

const NOT_PLACED = {
  code: "order_not_placed",
  message: "Your order could not be placed right now. Please try again in a moment.",
}

export interface DustServerConfig {
  /** Medusa's URL (with Dust's plugin), or Dust's own. */
  baseUrl: string
  /** Needed through Medusa. */
  publishableKey?: string
  /** The JWT of the customer whose request this is, such as from a cookie. */
  getToken: () => string | undefined | Promise<string | undefined>
  /** The id of the cart of this request, such as from a cookie. */
  getCartId: () => string | undefined | Promise<string | undefined>
  /** For reads; 1,500 if missing, so that no page waits longer for points. */
  timeoutMs?: number
}

/**
 * All calls for server components and server actions. Public reads are cached for a minute; what belongs to a customer is
 * never cached. In one render, equal reads are sent once.
 */
export function createDustServer({ getToken, getCartId, ...config }: DustServerConfig): DustActions {
  const actions = createDustActions(createDustClient({ ...config, token: getToken }), getCartId)
  return { ...actions, balance: cache(actions.balance), quote: cache(actions.quote), programme: cache(actions.programme) }
}

/** What Medusa's `POST /store/carts/:id/complete` returns. */
export type Completion<Order> = { type: "order"; order: Order } | { type: "cart"; cart: unknown; error: { message: string; type?: string } }

/** The order, or why there is none. `detail` is Medusa's own sentence, where `error` stands for it. */
export type Placed<Order> = { order: Order; error?: undefined } | { order?: undefined; error: string; detail?: string }

export interface PlaceOrderOptions {
  /** `de`, or your own sentences. What is missing is English. */
  messages?: Partial<Messages>
  /** Reads the shop's word for points when an order is refused, such as `dust.programme`. */
  programme?: () => Promise<DustResult<Programme>>
}

/**
 * Complete a cart and return what a shopper may read if that is refused, such as the sentences of Dust's checkout guard, or
 * that the payment was declined.
 * In production Next.js hides the messages of errors that a server action throws, so the action has to return this.
 */
export async function placeOrder<Order>(
  complete: () => Promise<Completion<Order>>,
  { messages, programme }: PlaceOrderOptions = {},
): Promise<Placed<Order>> {
  const textsWith = (name?: PointsName) => createTexts({ locale: "en", timeZone: "UTC", messages, name })

  function refused(error: { message: string; type?: string }): Placed<Order> {
    const refusal = medusaRefusal(error)
    return refusal ? { error: textsWith().error(refusal), detail: error.message } : { error: error.message }
  }

  try {
    const completion = await complete()
    return completion.type === "order" ? { order: completion.order } : refused(completion.error)
  } catch (error) {
    // Redirects are errors as well.
    unstable_rethrow(error)
    const { status, message } = error as { status?: number; message?: string }
    // Medusa answers 400 with a sentence. Other statuses, and failures without one, have none for shoppers.
    if (status !== 400 || !message) return { error: textsWith().error(NOT_PLACED) }
    const refusal = guardRefusal(message)
    if (!refusal) return refused({ message })
    const name = wordOf((await programme?.())?.data)
    return { error: textsWith(name).error(refusal, refusal.values) }
  }
}
