import { describe, expect, it, vi } from "vitest"
import { withRetries } from "../src/modules/dust/insert-retries"

vi.mock("node:timers/promises", () => ({ setTimeout: async () => undefined }))

describe("withRetries", () => {
  it("goes on until the work is done", async () => {
    const work = vi.fn().mockRejectedValueOnce(new Error("first")).mockRejectedValueOnce(new Error("second"))
    await withRetries(work)
    expect(work).toHaveBeenCalledTimes(3)
  })

  it("gives up with the last error", async () => {
    const work = vi.fn().mockRejectedValue(new Error("still away"))
    await expect(withRetries(work)).rejects.toThrow("still away")
    expect(work).toHaveBeenCalledTimes(4)
  })
})
