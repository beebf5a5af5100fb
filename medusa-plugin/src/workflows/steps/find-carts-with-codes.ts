import { Modules } from "@medusajs/framework/utils"
import { createStep, StepResponse } from "@medusajs/framework/workflows-sdk"
import { findOpenCarts, type CodeOfPromotion } from "../../lib/cart-codes"

const MAX_PROMOTIONS = 1_000

/** The open carts that hold one of these codes, whether their promotions exist or are deleted. */
export const findCartsWithCodesStep = createStep(
  "find-carts-with-codes",
  async ({ codes }: { codes: string[] }, { container }) => {
    const promotions = await container
      .resolve(Modules.PROMOTION)
      .listPromotions({ code: codes }, { select: ["id", "code"], take: MAX_PROMOTIONS, withDeleted: true })
    return new StepResponse(await findOpenCarts(promotions as CodeOfPromotion[], container))
  },
)
