import { Modules } from "@medusajs/framework/utils"
import { createStep, StepResponse } from "@medusajs/framework/workflows-sdk"
import type { RuleUpdate } from "../../lib/spending-cart"

/** All updates are one transaction, so there is nothing to compensate. */
export const updatePromotionRulesStep = createStep(
  "update-promotion-rules",
  async ({ updates }: { updates: RuleUpdate[] }, { container }) => {
    await container.resolve(Modules.PROMOTION).updatePromotionRules(updates)
    return new StepResponse(updates.length)
  },
)
