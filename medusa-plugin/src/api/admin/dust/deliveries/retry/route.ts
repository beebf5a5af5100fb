import type { MedusaRequest, MedusaResponse } from "@medusajs/framework/http"
import { DUST_MODULE } from "../../../../../modules/dust"
import type DustModuleService from "../../../../../modules/dust/service"
import type { UndeliveredBody } from "../../../../validators"

/** Send all events again that are not delivered, or those in one state or of one type. */
export async function POST(req: MedusaRequest<UndeliveredBody>, res: MedusaResponse): Promise<void> {
  const retried = await req.scope.resolve<DustModuleService>(DUST_MODULE).sendAllAgain(req.validatedBody)
  res.status(202).json({ retried })
}
