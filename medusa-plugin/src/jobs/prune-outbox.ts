import type { MedusaContainer } from "@medusajs/framework/types"
import { DUST_MODULE } from "../modules/dust"
import type DustModuleService from "../modules/dust/service"

const KEEP_DELIVERED_DAYS = 7

/** The outbox forgets what was delivered long ago. */
export default async function pruneOutbox(container: MedusaContainer): Promise<void> {
  await container.resolve<DustModuleService>(DUST_MODULE).prune(KEEP_DELIVERED_DAYS)
}

export const config = {
  name: "dust-prune-outbox",
  schedule: "*/10 * * * *",
}
