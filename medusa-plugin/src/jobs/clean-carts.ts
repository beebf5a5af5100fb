import type { MedusaContainer } from "@medusajs/framework/types"
import { ContainerRegistrationKeys } from "@medusajs/framework/utils"
import { cleanDustCartsWorkflow } from "../workflows/clean-carts"

const PAGE = 1_000
// A storefront's cookie keeps a cart for a week.
const LOOK_BACK_MS = 8 * 24 * 3_600_000

/** No open cart keeps a code whose promotion is deleted. */
export default async function cleanCarts(container: MedusaContainer): Promise<void> {
  const since = new Date(Date.now() - LOOK_BACK_MS).toISOString()
  for (let skip = 0; ; skip += PAGE) {
    const { result } = await cleanDustCartsWorkflow(container).run({ input: { since, skip, take: PAGE } })
    if (result.carts.length) {
      const logger = container.resolve(ContainerRegistrationKeys.LOGGER)
      logger.info(`dust: took codes of deleted promotions out of ${result.carts.length} carts`)
    }
    if (result.promotions < PAGE) return
  }
}

export const config = {
  name: "dust-clean-carts",
  schedule: "*/10 * * * *",
}
