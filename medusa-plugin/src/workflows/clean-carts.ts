import { createWorkflow, WorkflowResponse } from "@medusajs/framework/workflows-sdk"
import { findCartsWithDeletedCodesStep, type DeletedPromotions } from "./steps/find-carts-with-deleted-codes"
import { removeCodesFromCartsStep } from "./steps/remove-codes-from-carts"

/**
 * Take the codes of deleted promotions of Dust out of open carts, for one page of the deleted promotions. The bridge does so
 * when it deletes a promotion; this is for carts from before it did, and for what it could not reach.
 */
export const cleanDustCartsWorkflow = createWorkflow("clean-dust-carts", (input: DeletedPromotions) => {
  const withDeletedCodes = findCartsWithDeletedCodesStep(input)
  const { carts } = removeCodesFromCartsStep({ carts: withDeletedCodes.carts })
  return new WorkflowResponse({ promotions: withDeletedCodes.promotions, carts })
})
