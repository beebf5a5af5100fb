import { createInstance } from "i18next"
import { renderToStaticMarkup } from "react-dom/server"
import { describe, expect, it, vi } from "vitest"
import { DecimalField } from "../src/admin/components/field"
import { de } from "../src/admin/i18n/de"
import { decimalNumber, readings, wholeNumber } from "../src/admin/lib/numbers"
import { requestOf } from "../src/admin/lib/preview"

const i18n = createInstance({ lng: "de", resources: { de: { dust: de } }, ns: "dust", initImmediate: false })
void i18n.init()
vi.mock("react-i18next", () => ({ useTranslation: () => ({ t: i18n.getFixedT("de", "dust") }) }))

describe("a number with places", () => {
  it.each([
    ["1.5", "1.5"],
    ["1,5", "1.5"],
    ["0,125", "0.125"],
    ["0.125", "0.125"],
    ["1,1250", "1.1250"],
    [" 12,50\u00a0", "12.50"],
    ["\u200e2.5", "2.5"],
    [",5", ".5"],
    ["-0,5", "-0.5"],
    ["1000", "1000"],
    // As Swedish writes a minus, and Persian and Hindi their digits.
    ["\u22120,5", "-0.5"],
    ["۱۲٫۵", "12.5"],
    ["१२.५", "12.5"],
    ["", ""],
    ["   ", ""],
    ["1,", "1,"],
    ["much", "much"],
    // Nobody knows which one is meant, so the server gets what it refuses.
    ["1.000", "1,000"],
    ["1,000", "1,000"],
    ["12.345", "12,345"],
    ["-1.000", "-1,000"],
    ["1.000.000", "1,000,000"],
    ["1.000,50", "1.000,50"],
    ["1,000.50", "1,000.50"],
    ["1\u00a0000", "1\u00a0000"],
  ])("%j is %j for the server", (typed, sent) => {
    expect(decimalNumber(typed)).toBe(sent)
  })

  it("that can be read in two ways has both of them", () => {
    expect(readings("1.000")).toEqual({ typed: "1.000", whole: "1000", places: "1.0000" })
    expect(readings("1,125 ")).toEqual({ typed: "1,125", whole: "1125", places: "1,1250" })
    expect(["1.5", "0.125", "1000", "1.000.000", "", "1.1250"].map(readings)).toEqual(Array(6).fill(undefined))
  })

  it("is no other one after it was written as the error says", () => {
    for (const typed of ["1.000", "1,125", "999.999"]) {
      const { whole, places } = readings(typed) as { whole: string; places: string }
      expect([whole, places].map(readings)).toEqual([undefined, undefined])
      expect(Number(decimalNumber(whole))).toBe(1000 * Number(decimalNumber(places)))
    }
  })

  it("of a change of an order is sent as it was typed, or not at all", () => {
    const typed = { kind: "return" as const, quantities: { item_1: decimalNumber("1,5") }, refund: decimalNumber("1.000") }
    expect(requestOf(typed)).toEqual({ returns: [{ line_item_id: "item_1", quantity: "1.5" }], refund: "1,000" })
  })
})

describe("its field", () => {
  const field = (value: string, error?: string) =>
    renderToStaticMarkup(<DecimalField label="Faktor" value={value} error={error} onChange={() => undefined} />)

  it("says how to write a number that can be read in two ways", () => {
    const page = field("1,000")
    expect(page).toContain("1,000 lässt sich auf zwei Arten lesen. Bitte schreiben Sie 1000 oder 1,0000")
    expect(page).toContain('aria-invalid="true"')
  })

  it("says nothing about a stored number with three places", () => {
    expect(field("1.125")).toContain('value="1.125"')
    expect(field("1.125")).not.toContain("zwei Arten")
  })

  it("says what the server says otherwise", () => {
    expect(field("x", "Input should be a valid decimal")).toContain("ohne Tausenderzeichen")
  })
})

it("a whole number has no separators", () => {
  expect(["1200", " 1200\u00a0", "1.000", "1,000", "1 000", "-5"].map(wholeNumber)).toEqual([1200, 1200, "1.000", "1,000", "1 000", -5])
})

it("a whole number may have the minus and the digits of any language", () => {
  expect(["\u2212500", "\u200e\u2212۵۰۰", "٣٠", "१२", "๙"].map(wholeNumber)).toEqual([-500, -500, 30, 12, 9])
  expect(["sv", "fa", "ar-EG", "hi-u-nu-deva", "bn", "my"].map((language) => wholeNumber(format(language, -1250)))).toEqual(Array(6).fill(-1250))
})

function format(language: string, number: number): string {
  return new Intl.NumberFormat(language, { useGrouping: false }).format(number)
}
