import type { MedusaRequest, MedusaResponse } from "@medusajs/framework/http"
import { MedusaError } from "@medusajs/framework/utils"
import { withdrawCodes } from "../../../../../workflows/withdraw-codes"

const MAX_CODES = 100

/**
 * Take promotion codes out of every open cart that holds one. The bridge calls this before it deletes their promotions,
 * and once more afterwards.
 */
export async function POST(req: MedusaRequest, res: MedusaResponse): Promise<void> {
  const { codes, dry_run: dryRun } = (req.body ?? {}) as { codes?: unknown; dry_run?: unknown }
  if (!Array.isArray(codes) || codes.length > MAX_CODES || codes.some((code) => typeof code !== "string")) {
    throw new MedusaError(MedusaError.Types.INVALID_DATA, `codes must be a list of at most ${MAX_CODES} codes.`)
  }
  res.json(await withdrawCodes(codes as string[], req.scope, { dryRun: dryRun === true }))
}
