import { Modules } from "@medusajs/framework/utils"
import { createStep, StepResponse } from "@medusajs/framework/workflows-sdk"
import { findOpenCarts, type CodeOfPromotion } from "../../lib/cart-codes"
import { isDust, type GuardedPromotion } from "../../lib/guard-rules"

/** `since` is an ISO time; `skip` and `take` page through the promotions that were deleted after it. */
export type DeletedPromotions = { since: string; skip: number; take: number }

/** The open carts that hold a code of a deleted promotion of Dust. `promotions` counts the page, the shop's own included. */
export const findCartsWithDeletedCodesStep = createStep(
  "find-carts-with-deleted-codes",
  async ({ since, skip, take }: DeletedPromotions, { container }) => {
    const deleted = await container.resolve(Modules.PROMOTION).listPromotions(
      // `deleted_at` is no filter of the type, but of the table.
      { deleted_at: { $gte: since } } as object,
      { relations: ["rules"], order: { id: "ASC" }, take, skip, withDeleted: true },
    )
    const dust = deleted.filter((promotion) => isDust(promotion as GuardedPromotion)) as CodeOfPromotion[]
    return new StepResponse({ promotions: deleted.length, carts: await findOpenCarts(dust, container) })
  },
)
