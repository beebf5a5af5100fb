import { describe, expect, it } from "vitest"
import { differences } from "../src/admin/lib/differences"

const RULES = { version: 3, author: "user_1", earn: { rates: { eur: "1" }, multipliers: [{ name: "a" }] }, max: null }

describe("two versions of the rules", () => {
  it("differ in fields that changed, came or went", () => {
    const mine = { ...RULES, earn: { rates: { eur: "2", usd: "1" }, multipliers: [] }, max: 5 }
    expect(differences(RULES, mine)).toEqual([
      { field: "earn.rates.eur", theirs: "1", mine: "2" },
      { field: "earn.multipliers.0.name", theirs: "a", mine: "–" },
      { field: "max", theirs: "–", mine: "5" },
      { field: "earn.rates.usd", theirs: "–", mine: "1" },
    ])
  })

  it("do not differ by who saved them when", () => {
    expect(differences(RULES, { ...RULES, version: 4, author: "user_2" })).toEqual([])
  })
})
