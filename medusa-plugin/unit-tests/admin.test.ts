import { describe, expect, it } from "vitest"
import { idFrom, valueAt, withValueAt } from "../src/admin/lib/document"
import { DustError, errorAt, generalError, messageOf } from "../src/admin/lib/dust"
import { wholeNumber } from "../src/admin/lib/numbers"
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

  it("are shown above the form when they are about a field that it does not have", () => {
    const many = new DustError({ errors: [{ field: "customer_ids", message: "name 1 to 1000 customers" }] }, 422)
    expect(generalError(many, key, ["amount"])).toBe("finding.most")
    expect(generalError(wrong, key, ["earn"])).toBeUndefined()
  })

  it("are in the words of the dashboard where it knows them", () => {
    const said = (code: string, detail: string, more: object = {}): string =>
      messageOf(new DustError({ code, detail, ...more }, 409), (name, values) => `${name} ${values?.count ?? ""}`.trim())
    expect(said("insufficient_dust", "You need 500 points and have 1,200.", { available: 1200 })).toBe("problems.insufficient_dust 1200")
    expect(said("medusa_unavailable", "Medusa did not answer.")).toBe("failures.medusa_unavailable")
    expect(said("merge_refused", "cus_1 is merged into cus_2 already: undo that first.")).toBe("finding.mergedAlready")
    expect(said("of_a_newer_bridge", "Its own sentence.")).toBe("Its own sentence.")
    expect(messageOf(wrong, key)).toBe("must be above zero")
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

  it.each([
    ["must be after starts_at", "Must be later than the start"],
    [
      "expires_after_days (14) must be more than pending_days (30): points would expire before anybody can spend them",
      "Must be more than the days until points can be spent (30)",
    ],
    ["Gold must be from more than Silver, which comes before it", "“Gold” needs a higher threshold than “Silver”, which stands before it"],
    ["ship: the price of 300 is below the minimum at a time (500)", "The price of “ship” is 300, and the minimum at a time is 500"],
    ["'xyz' is not a currency of the shop: Medusa does not have it", "Your shop does not have the currency xyz"],
    ["must be a whole number between 1 and 1000, or the same below zero", "Please enter a whole number from 1 to 1000, or below zero from -1 to -1000"],
    ["must be more than matures_after_days, or nobody could spend it", "Must be more than the days until it can be spent"],
    ["returns: 3 of T-Shirt are too many: the customer has 2.", "The customer has 2 of “T-Shirt”, and not 3."],
    ["max_value and min_cart have no currency in common, so nobody could ever have it", "none in common"],
  ])("has no names of fields and ids: %s", (sentence, shownAs) => {
    expect(worded(sentence)).toContain(shownAs)
  })
})

describe("wholeNumber", () => {
  it("leaves to the server what is none", () => {
    expect(["12", " -3 ", "+4", "1.5", "much", ""].map(wholeNumber)).toEqual([12, -3, 4, "1.5", "much", ""])
  })
})
