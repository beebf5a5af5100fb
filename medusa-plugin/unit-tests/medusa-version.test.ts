import { describe, expect, it } from "vitest"
import { isTooOld, medusaVersion } from "../src/medusa-version"

describe("the version of Medusa", () => {
  it.each(["2.12.6", "2.0.0", "1.99.0"])("%s is too old", (version) => {
    expect(isTooOld(version)).toBe(true)
  })

  it.each(["2.13.0", "2.13.6", "2.18.0", "2.21.2", "2.21.0-rc.1", "3.0.0"])("%s is new enough", (version) => {
    expect(isTooOld(version)).toBe(false)
  })

  it("is read from the installed package", () => {
    expect(medusaVersion()).toMatch(/^\d+\.\d+\.\d+/)
  })
})
