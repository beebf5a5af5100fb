import type { MedusaRequest, MedusaResponse } from "@medusajs/framework/http"
import { withdrawDustCodesWorkflow } from "../../../../../workflows/withdraw-codes"
import type { WithdrawCodesBody } from "../../../../validators"

/**
 * Take promotion codes out of every open cart that holds one. The bridge calls this before it deletes their promotions,
 * and once more afterwards.
 */
export async function POST(req: MedusaRequest<WithdrawCodesBody>, res: MedusaResponse): Promise<void> {
  const { result } = await withdrawDustCodesWorkflow(req.scope).run({ input: req.validatedBody })
  res.json(result)
}
