import { asValue } from "@medusajs/framework/awilix"
import { createMedusaContainer } from "@medusajs/framework/utils"
import { expect, it, vi } from "vitest"
import codeRemoved from "../src/subscribers/code-removed"

vi.mock("node:timers/promises", () => ({ setTimeout: async () => undefined }))

/** A Medusa whose database fails for the first reads, and whose cart_1 has lost the code DUST-A. */
function medusa(failures: number) {
  const keep = vi.fn(async () => undefined)
  let reads = 0
  const graph = async ({ entity }: { entity: string }) => {
    if (reads++ < failures) throw new Error("Connection terminated unexpectedly")
    if (entity === "cart_promotion") return { data: [{ cart_id: "cart_1", promotion_id: "promo_1", deleted_at: "2026-11-28" }] }
    return { data: [{ code: "DUST-A", rules: [{ id: "prorul_1", description: '{"redemption_id":"dred_1"}' }] }] }
  }
  const container = createMedusaContainer()
  container.register({ query: asValue({ graph }), dust: asValue({ keep }) })
  const event = { name: "LinkCartPromotion.detached", data: { id: "cartpromo_1" }, metadata: { eventGroupId: "1" } }
  return { keep, hear: () => codeRemoved({ event, container, pluginOptions: {} } as never) }
}

it.each([0, 1, 3])("a code that left its cart is kept after %i failed reads", async (failures) => {
  const { keep, hear } = medusa(failures)

  await hear()

  expect(keep).toHaveBeenCalledOnce()
  expect(keep).toHaveBeenCalledWith(
    expect.objectContaining({ name: "dust.code_removed", data: { cart_id: "cart_1", codes: ["DUST-A"] } }),
  )
})
