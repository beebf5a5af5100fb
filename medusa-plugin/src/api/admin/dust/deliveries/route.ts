import type { MedusaRequest, MedusaResponse } from "@medusajs/framework/http"
import { medusaVersion } from "../../../../lib/medusa-version"
import { DUST_MODULE } from "../../../../modules/dust"
import type DustModuleService from "../../../../modules/dust/service"
import type { UndeliveredQuery } from "../../../validators"

const PAGE = 50

/** What is on its way to the bridge: how much in which state, and a page of the events that are not delivered, newest first. */
export async function GET(req: MedusaRequest, res: MedusaResponse): Promise<void> {
  const outbox = req.scope.resolve<DustModuleService>(DUST_MODULE)
  const { state, type, cursor: skip = 0 } = req.validatedQuery as UndeliveredQuery
  const [counts, [undelivered, found]] = await Promise.all([
    outbox.deliveryState(),
    outbox.listAndCountOutboxEvents(
      { state: state ? [state] : ["waiting", "rejected"], ...(type && { type }) },
      {
        select: ["id", "type", "state", "attempts", "occurred_at", "next_attempt_at", "last_error"],
        order: { occurred_at: "DESC", id: "DESC" },
        skip,
        take: PAGE,
      },
    ),
  ])
  const next = skip + undelivered.length
  res.json({
    ...counts,
    undelivered,
    found,
    next_cursor: undelivered.length && next < found ? String(next) : null,
    medusa_version: medusaVersion() ?? null,
  })
}
