import { z } from "@medusajs/framework/zod"

const MAX_CODES = 100
// Postgres takes no OFFSET of 2^63 or more, and no NUL in a text.
const MAX_CURSOR = 1_000_000_000
export const isStorable = (text: string): boolean => !text.includes("\0")

/** `POST /admin/dust/codes/withdraw`. Bodies of the bridge's routes are checked by the bridge. */
export const WithdrawCodes = z.object({
  codes: z.array(z.string().refine(isStorable)).max(MAX_CODES),
  dry_run: z.boolean().optional(),
})

const MAX_TYPE = 100

/** `POST /admin/dust/deliveries/retry`: events in this state and of this type; without either, all that are not delivered. */
export const Undelivered = z.object({
  state: z.enum(["waiting", "rejected"]).optional(),
  type: z.string().max(MAX_TYPE).refine(isStorable).optional(),
})

/** `GET /admin/dust/deliveries`. `cursor` is the `next_cursor` of the page before. */
export const UndeliveredPage = Undelivered.extend({ cursor: z.coerce.number().int().min(0).max(MAX_CURSOR).optional() })

export type UndeliveredBody = z.infer<typeof Undelivered>
export type UndeliveredQuery = z.infer<typeof UndeliveredPage>
export type WithdrawCodesBody = z.infer<typeof WithdrawCodes>
