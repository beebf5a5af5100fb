import { describe, expect, it } from "vitest"
import { discountFor, earnedPoints, exampleAmount, examplePoints, millionths } from "../src/admin/lib/examples"
import { errorsAfterEdit, generalMessages, messageAt, messageWithin } from "../src/admin/lib/field-errors"
import { shownName } from "../src/admin/lib/shop"
import { worded } from "../src/admin/lib/wording"

const RULES = {
  earn: { rates: { eur: "1.5", jpy: "0.01" }, rounding: "floor", limits: { per_order: null, per_day: null, per_customer: null } },
  redeem: { rates: { eur: "100", jpy: "1", usd: "133.3" }, min_dust: 1, max_dust: null },
}

describe("an example of earning", () => {
  it("uses the rate, the rounding and a factor on top", () => {
    expect(earnedPoints(RULES, "eur", 50)).toBe(75)
    expect(earnedPoints(RULES, "eur", 50, "1.25")).toBe(93)
    expect(earnedPoints({ ...RULES, earn: { ...RULES.earn, rounding: "half_up" } }, "eur", 50, "1.25")).toBe(94)
    expect(earnedPoints({ ...RULES, earn: { ...RULES.earn, rounding: "ceiling" } }, "eur", 50, "1.241")).toBe(94)
    expect(earnedPoints(RULES, "jpy", 5000)).toBe(50)
  })

  it("keeps the limits of one order, one day and one customer", () => {
    const limited = (limits: object) => ({ ...RULES, earn: { ...RULES.earn, limits: { ...RULES.earn.limits, ...limits } } })
    expect(earnedPoints(limited({ per_order: 60 }), "eur", 50)).toBe(60)
    expect(earnedPoints(limited({ per_day: 50 }), "eur", 50)).toBe(50)
    expect(earnedPoints(limited({ per_customer: { dust: 40, days: 3 } }), "eur", 50)).toBe(40)
    expect(earnedPoints(limited({ per_order: "much" }), "eur", 50)).toBe(75)
  })

  it("is missing while a number is none", () => {
    expect(earnedPoints(RULES, "usd", 50)).toBeUndefined()
    expect(earnedPoints(RULES, "eur", 50, "double")).toBeUndefined()
    expect(earnedPoints({ ...RULES, earn: { ...RULES.earn, rates: { eur: "-2" } } }, "eur", 50)).toBeUndefined()
  })
})

describe("an example of a discount", () => {
  it("is rounded down to the currency's smallest unit", () => {
    expect(discountFor(RULES, "eur", 2, 500)).toBe("5.00")
    expect(discountFor(RULES, "eur", 2, 7)).toBe("0.07")
    expect(discountFor(RULES, "usd", 2, 133)).toBe("0.99")
    expect(discountFor(RULES, "jpy", 0, 500)).toBe("500")
    expect(discountFor(RULES, "gbp", 2, 500)).toBeUndefined()
  })

  it("has a number of points that the limits allow", () => {
    const limited = (limits: object) => examplePoints({ redeem: { ...RULES.redeem, ...limits } })
    expect([limited({}), limited({ min_dust: 900 }), limited({ max_dust: 50 })]).toEqual([500, 900, 50])
  })

  it("is about 50 major units, or 5000 in a currency without smaller ones", () => {
    expect([exampleAmount(2).shown, exampleAmount(3).shown, exampleAmount(0).shown]).toEqual(["50.00", "50.000", "5000"])
  })
})

describe("millionths", () => {
  it("are exact, and undefined for what the rules do not take", () => {
    expect([millionths("1.5"), millionths("0.000001"), millionths(2)]).toEqual([1_500_000n, 1n, 2_000_000n])
    expect(["", "-1", "1,5", "0.0000001", "x", null, undefined].map(millionths)).toEqual(Array(7).fill(undefined))
  })
})

describe("errors of fields", () => {
  const errors = [
    { field: "redeem.rewards.0", message: "percent is missing" },
    { field: "redeem.rewards.1.dust", message: "Input should be greater than or equal to 1" },
    { field: "redeem.rate", message: "another" },
  ]

  it("are found at the field itself, or in what it contains", () => {
    expect(messageAt(errors, "redeem.rewards.0")).toBe("percent is missing")
    expect(messageAt(errors, "redeem.rewards")).toBeUndefined()
    expect(messageWithin(errors, "redeem.rewards")).toBe("percent is missing")
    expect(messageWithin(errors, "redeem.rat")).toBeUndefined()
  })

  it("go once the field, a part of it, or what contains it is edited", () => {
    const left = (field: string) => errorsAfterEdit(errors, field).map((error) => error.field)
    expect(left("redeem.rewards.0.percent")).toEqual(["redeem.rewards.1.dust", "redeem.rate"])
    expect(left("redeem.rewards.1.dust")).toEqual(["redeem.rewards.0", "redeem.rate"])
    expect(left("redeem.rewards")).toEqual(["redeem.rate"])
    expect(left("redeem.rates")).toHaveLength(3)
  })

  it("about several fields together are shown for themselves, and go with any edit", () => {
    const together = [{ field: "body", message: "no referral would ever bring a bonus" }]
    expect(generalMessages([...errors, ...together])).toEqual(["no referral would ever bring a bonus"])
    expect(errorsAfterEdit(together, "bonuses.referral.min_earned")).toEqual([])
  })
})

describe("a thing that a rule names", () => {
  it("has a name, or none when the shop no longer has it, or its id while that is unknown", () => {
    const names = { prod_1: "Mug" }
    expect([shownName("prod_1", names), shownName("prod_2", names), shownName("prod_2", undefined)]).toEqual(["Mug", null, "prod_2"])
  })
})

describe("wording", () => {
  it("says what is wrong with a text or a choice", () => {
    expect(worded("String should have at most 100 characters")).toBe("Must have at most 100 characters")
    expect(worded("String should match pattern '^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$'")).toBe("Please choose one")
    expect(worded("String should match pattern '^[a-z0-9][a-z0-9_-]{0,62}$'")).toContain("small letters")
    expect(worded("String should match pattern '^[A-Za-z0-9_+/-]{1,64}$'")).toBe("Please choose a time zone")
    expect(worded("Decimal input should have no more than 6 decimal places")).toBe("Must have at most 6 decimal places")
    expect(worded("Input should be a finite number")).toBe("Please enter a number without separators of thousands, such as 1000 or 1.5")
  })

  it("is in the language of the dashboard", () => {
    expect(worded("Field required", (key) => `de: ${key}`)).toBe("de: finding.missing")
  })
})
