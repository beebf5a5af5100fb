import { describe, expect, it } from "vitest"
import { idFrom, valueAt, withValueAt } from "../src/admin/lib/document"
import { DustError, errorAt, generalError, wholeNumber } from "../src/admin/lib/dust"
import { worded } from "../src/admin/lib/wording"

const PROGRAMME = { earn: { rates: { eur: "1" }, multipliers: [{ name: "a" }, { name: "b" }] }, bonuses: { signup: 0 } }

describe("a document", () => {
  it("is read by the names that the bridge gives its fields", () => {
    expect(valueAt(PROGRAMME, "earn.rates.eur")).toBe("1")
    expect(valueAt(PROGRAMME, "earn.multipliers.1.name")).toBe("b")
    expect(valueAt(PROGRAMME, "earn.nothing.here")).toBeUndefined()
  })

  it("is changed in one place, and the one before stays", () => {
    const changed = withValueAt(PROGRAMME, "earn.multipliers.1.name", "c")
    expect(changed).toEqual({ ...PROGRAMME, earn: { ...PROGRAMME.earn, multipliers: [{ name: "a" }, { name: "c" }] } })
    expect(PROGRAMME.earn.multipliers[1].name).toBe("b")
  })

  it("gains keys, and loses keys and entries", () => {
    expect(withValueAt({ rates: { eur: "1" } }, "rates.usd", "2")).toEqual({ rates: { eur: "1", usd: "2" } })
    expect(withValueAt({ rates: { eur: "1" } }, "rates.eur", undefined)).toEqual({ rates: {} })
    expect(valueAt(withValueAt(PROGRAMME, "earn.multipliers.0", undefined), "earn.multipliers")).toEqual([{ name: "b" }])
  })
})

describe("an id", () => {
  it("reads like the name", () => {
    expect(idFrom("Free shipping")).toBe("free-shipping")
    expect(idFrom(" 10 % für Größe L! ")).toBe("10-fur-grosse-l")
    expect(idFrom(`${"a".repeat(62)} b`)).toBe("a".repeat(62))
    expect(idFrom("送料無料")).toBe("")
  })
})

describe("errors", () => {
  const key = (name: string): string => name
  const errors = [{ field: "earn.rates.eur", message: "must be above zero" }]
  const wrong = new DustError({ detail: "earn.rates.eur: must be above zero", errors }, 422)

  it("are shown at their field and at what holds it, and not above the form", () => {
    expect(errorAt(wrong, "earn.rates.eur")).toBe("must be above zero")
    expect(errorAt(wrong, "earn.rates")).toBe("must be above zero")
    expect(errorAt(wrong, "earn.rate")).toBeUndefined()
    expect(generalError(wrong, key)).toBeUndefined()
  })

  it("are shown above the form when they are about no field", () => {
    expect(generalError(new DustError({ detail: "Dust does not answer right now." }, 503), key)).toContain("does not answer")
    expect(generalError(null, key)).toBeUndefined()
  })

  it("say what to do when the session has ended, the role is not enough or nobody answers", () => {
    expect(generalError(new DustError({ message: "Unauthorized" }, 401), key)).toBe("general.sessionEnded")
    expect(generalError(new DustError({ message: "Forbidden" }, 403), key)).toBe("general.notAllowed")
    expect(generalError(new TypeError("Failed to fetch"), key)).toBe("general.unreachable")
    expect(generalError(new DustError({}, 502), key)).toBe("general.unreachable")
  })
})

describe("wording", () => {
  it("says for people what the bridge found out about a value", () => {
    expect(worded("Input should be a valid integer, unable to parse string as an integer")).toBe(
      "Please enter a whole number, such as 1200",
    )
    expect(worded("String should have at least 1 character")).toBe("Please fill this in")
    expect(worded("Input should be greater than 0")).toBe("Must be more than 0")
    expect(worded("Input should be less than or equal to 1")).toBe("Must be at most 1")
    expect(worded("a product for points only needs a price in points")).toContain("needs a price in points")
  })
})

describe("wholeNumber", () => {
  it("leaves to the server what is none", () => {
    expect(["12", " -3 ", "+4", "1.5", "much", ""].map(wholeNumber)).toEqual([12, -3, 4, "1.5", "much", ""])
  })
})
