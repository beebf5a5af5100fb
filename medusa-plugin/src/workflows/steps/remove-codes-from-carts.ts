import type { MedusaContainer } from "@medusajs/framework/types"
import { ContainerRegistrationKeys, PromotionActions } from "@medusajs/framework/utils"
import { createStep, StepResponse } from "@medusajs/framework/workflows-sdk"
import { updateCartPromotionsWorkflow } from "@medusajs/medusa/core-flows"
import type { CartCodes } from "../../lib/cart-codes"

/** The carts that were cleaned (in a dry run: found), and how many still hold a code. */
export type Withdrawal = { carts: CartCodes[]; remaining: number }

type Input = { carts: CartCodes[]; dry_run?: boolean }

// Few enough to leave Medusa its database connections.
const AT_ONCE = 4
// A cart that is locked is waited for by Medusa for two seconds; the caller's time-out is five.
const MAX_MS = 2_000

/** A code that is removed is not put back: its promotion is deleted, or is about to be. */
export const removeCodesFromCartsStep = createStep("remove-codes-from-carts", async (input: Input, { container }) => {
  return new StepResponse(await removeCodes(input, container))
})

/**
 * Stops after two seconds; `remaining` is the number of carts that still hold a code. With `dry_run` it removes nothing.
 *
 * Medusa keeps the link to a deleted promotion in the cart, shows it as `null`, and keeps its discount; removing the code
 * takes both away (found on 2.21.2).
 */
export async function removeCodes(
  { carts, dry_run: dryRun }: Input,
  container: MedusaContainer,
  now: () => number = Date.now,
): Promise<Withdrawal> {
  if (dryRun) return { carts, remaining: carts.length }
  const end = now() + MAX_MS
  const cleaned: CartCodes[] = []
  for (let start = 0; start < carts.length && now() < end; start += AT_ONCE) {
    const batch = carts.slice(start, start + AT_ONCE)
    const removed = await Promise.all(batch.map((cart) => removeFrom(cart, container)))
    cleaned.push(...batch.filter((_, index) => removed[index]))
  }
  return { carts: cleaned, remaining: carts.length - cleaned.length }
}

/** False for a cart that is locked, or was completed meanwhile. */
async function removeFrom({ cart_id, codes }: CartCodes, container: MedusaContainer): Promise<boolean> {
  try {
    await updateCartPromotionsWorkflow(container).run({
      input: {
        cart_id,
        promo_codes: codes,
        action: PromotionActions.REMOVE,
        // A payment session over another total must not stay.
        force_refresh_payment_collection: true,
      },
    })
    return true
  } catch (error) {
    const logger = container.resolve(ContainerRegistrationKeys.LOGGER)
    logger.warn(`dust: cart ${cart_id} still holds ${codes.join(", ")}: ${(error as Error).message}`)
    return false
  }
}
