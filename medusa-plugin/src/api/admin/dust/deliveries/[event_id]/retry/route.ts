import type { MedusaRequest, MedusaResponse } from "@medusajs/framework/http"
import { DUST_MODULE } from "../../../../../../modules/dust"
import type DustModuleService from "../../../../../../modules/dust/service"
import { isStorable } from "../../../../../validators"

/** Send an event again that the bridge has rejected, or that waits for its next attempt. */
export async function POST(req: MedusaRequest, res: MedusaResponse): Promise<void> {
  const { event_id: id } = req.params
  const retried = isStorable(id) && (await req.scope.resolve<DustModuleService>(DUST_MODULE).sendAgain(id))
  res.status(202).json({ id, retried })
}
