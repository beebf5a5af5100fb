import { describe, expect, it } from "vitest"
import { meaningOf } from "../src/admin/components/operations/reason"

describe("the code of a failed event", () => {
  it("is explained if it is known", () => {
    expect(meaningOf("medusa_unavailable", (key) => `text of ${key}`)).toBe("text of failures.medusa_unavailable")
    expect(meaningOf("of_a_newer_bridge", String)).toBeUndefined()
    expect(meaningOf(null, String)).toBeUndefined()
  })
})
