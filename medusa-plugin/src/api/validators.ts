import { z } from "@medusajs/framework/zod"

const MAX_CODES = 100

/** `POST /admin/dust/codes/withdraw`. Bodies of the bridge's routes are checked by the bridge. */
export const WithdrawCodes = z.object({
  codes: z.array(z.string()).max(MAX_CODES),
  dry_run: z.boolean().optional(),
})

export type WithdrawCodesBody = z.infer<typeof WithdrawCodes>
