import type { MedusaContainer } from "@medusajs/framework/types"
import { cleanCarts } from "../workflows/withdraw-codes"

/** No open cart keeps a code whose promotion is deleted. */
export default async function job(container: MedusaContainer): Promise<void> {
  await cleanCarts(container)
}

export const config = {
  name: "dust-clean-carts",
  schedule: "*/10 * * * *",
}
