import type { MedusaRequest, MedusaResponse } from "@medusajs/framework/http"
import { medusaVersion } from "../../../../lib/medusa-version"
import { DUST_MODULE } from "../../../../modules/dust"
import type DustModuleService from "../../../../modules/dust/service"

const NEWEST = 50

/** What is on its way to the bridge: how much in which state, and the newest events that are not delivered. */
export async function GET(req: MedusaRequest, res: MedusaResponse): Promise<void> {
  const outbox = req.scope.resolve<DustModuleService>(DUST_MODULE)
  const [state, undelivered] = await Promise.all([
    outbox.deliveryState(),
    outbox.listOutboxEvents(
      { state: ["waiting", "rejected"] },
      {
        select: ["id", "type", "state", "attempts", "occurred_at", "next_attempt_at", "last_error"],
        order: { occurred_at: "DESC" },
        take: NEWEST,
      },
    ),
  ])
  res.json({ ...state, undelivered, medusa_version: medusaVersion() ?? null })
}
