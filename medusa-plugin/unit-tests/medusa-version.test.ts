import { describe, expect, it } from "vitest"
import { isTooOld, medusaVersion, requireMedusa } from "../src/lib/medusa-version"

describe("the version of Medusa", () => {
  it.each(["2.12.6", "2.0.0", "1.99.0"])("%s is too old", (version) => {
    expect(isTooOld(version)).toBe(true)
  })

  it.each(["2.13.0", "2.13.6", "2.18.0", "2.21.2", "2.21.0-rc.1", "3.0.0"])("%s is new enough", (version) => {
    expect(isTooOld(version)).toBe(false)
  })

  it("stops the start when it is too old", () => {
    expect(() => requireMedusa("2.12.6")).toThrow(
      "medusa-plugin-dust needs Medusa 2.13.0 or later, and this is 2.12.6. Please update Medusa.",
    )
    expect(() => requireMedusa("2.13.6")).not.toThrow()
    expect(() => requireMedusa()).not.toThrow()
  })

  it("is read from the installed package", () => {
    expect(medusaVersion()).toMatch(/^\d+\.\d+\.\d+/)
  })
})
