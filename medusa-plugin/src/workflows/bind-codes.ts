import { createWorkflow, WorkflowResponse } from "@medusajs/framework/workflows-sdk"
import type { RuleUpdate } from "../lib/spending-cart"
import { updatePromotionRulesStep } from "./steps/update-promotion-rules"

/**
 * Write a cart's id into its owner's dust codes: the checkout guard completes no other cart with them. `bindings` finds the
 * updates. Run it only for a request of the owner, signed in.
 */
export const bindDustCodesWorkflow = createWorkflow("bind-dust-codes", (input: { updates: RuleUpdate[] }) => {
  return new WorkflowResponse(updatePromotionRulesStep(input))
})
