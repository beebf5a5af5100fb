import { createWorkflow, WorkflowResponse } from "@medusajs/framework/workflows-sdk"
import { findCartsWithCodesStep } from "./steps/find-carts-with-codes"
import { removeCodesFromCartsStep } from "./steps/remove-codes-from-carts"

/**
 * Take codes out of every open cart that holds one, whether their promotions exist or are deleted. It stops after two
 * seconds and says how many carts remain. With `dry_run` it only finds them.
 */
export const withdrawDustCodesWorkflow = createWorkflow(
  "withdraw-dust-codes",
  (input: { codes: string[]; dry_run?: boolean }) => {
    const carts = findCartsWithCodesStep(input)
    return new WorkflowResponse(removeCodesFromCartsStep({ carts, dry_run: input.dry_run }))
  },
)
