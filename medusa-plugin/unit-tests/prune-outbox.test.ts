import type { MedusaContainer } from "@medusajs/framework/types"
import { expect, it, vi } from "vitest"
import pruneOutbox, { config } from "../src/jobs/prune-outbox"

it("forgets what was delivered a week ago, often enough for a Medusa that restarts often", async () => {
  const prune = vi.fn()
  await pruneOutbox({ resolve: () => ({ prune }) } as unknown as MedusaContainer)
  expect(prune).toHaveBeenCalledExactlyOnceWith(7)
  expect(config.schedule).toBe("*/10 * * * *")
})
