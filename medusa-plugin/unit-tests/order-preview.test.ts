import { describe, expect, it } from "vitest"
import { de } from "../src/admin/i18n/de"
import { en } from "../src/admin/i18n/en"
import { effectOf, isEmpty, requestOf, unitsLeft } from "../src/admin/lib/preview"

const NOTHING = {
  order_id: "order_1",
  customer_id: "cus_1" as string | null,
  earned_taken_back: 0,
  earned_added: 0,
  spent_given_back: 0,
  spent_added: 0,
  balance_before: 90,
  balance_after: 90,
  available_after: 90,
  pending_before: 0,
  pending_after: 0,
  escrow_before: 0,
  escrow_after: 0,
  note: null,
}

/** The catalogue's text with its values, as i18next would put them in. */
function translate(key: string, values: Record<string, string | number> = {}): string {
  const [group, name] = key.split(".") as ["preview", keyof typeof en.preview]
  return en[group][name].replace(/{{(\w+)}}/g, (_, value) => String(values[value]))
}

it("units that came back damaged are not the customer's any more", () => {
  expect(unitsLeft({ quantity: 5 })).toBe(5)
  expect(unitsLeft({ quantity: 5, detail: { return_received_quantity: 1, return_dismissed_quantity: 2 } })).toBe(2)
})

describe("the request of a preview", () => {
  it("is a cancel, what is open in Medusa, or the lines that come back and the refund", () => {
    expect(requestOf({ kind: "cancel", quantities: { a: "1" }, refund: "5" })).toEqual({ cancel: true })
    expect(requestOf({ kind: "open", quantities: { a: "1" }, refund: "5" })).toEqual({ open_change: true })
    expect(requestOf({ kind: "return", quantities: { a: " 2 ", b: "" }, refund: "5.00" })).toEqual({
      returns: [{ line_item_id: "a", quantity: "2" }],
      refund: "5.00",
    })
    expect(requestOf({ kind: "return", quantities: {}, refund: " " })).toEqual({ returns: [] })
  })
})

describe("a change", () => {
  it("is empty until something is filled in", () => {
    expect(isEmpty({ kind: "return", quantities: { a: " " }, refund: "" })).toBe(true)
    expect(isEmpty({ kind: "cancel", quantities: {}, refund: "" })).toBe(false)
    expect(isEmpty({ kind: "open", quantities: {}, refund: "" })).toBe(false)
    expect(isEmpty({ kind: "return", quantities: { a: "1" }, refund: "" })).toBe(false)
    expect(isEmpty({ kind: "return", quantities: {}, refund: "5" })).toBe(false)
  })
})

describe("the effect of a change", () => {
  it("is one sentence with what is taken, given and left", () => {
    const preview = { ...NOTHING, earned_taken_back: 180, spent_given_back: 250, balance_after: -20 }
    expect(effectOf(preview, translate)).toBe("Takes back 180, returns 250, leaves -20.")
  })

  it("says so when no points change, and what a guest can claim", () => {
    expect(effectOf(NOTHING, translate)).toBe("Changes no points, leaves 90.")
    const guest = { ...NOTHING, earned_taken_back: 10, balance_after: 0, escrow_before: 30, escrow_after: 20 }
    expect(effectOf(guest, translate)).toBe("Takes back 10, leaves 20 for the guest.")
  })
})

describe("the catalogues", () => {
  it("use the same values in every language", () => {
    const values = (texts: object): object =>
      Object.fromEntries(
        Object.entries(texts).map(([key, text]) => [
          key,
          typeof text === "string" ? (text.match(/{{\w+}}/g) ?? []).sort() : values(text),
        ]),
      )
    expect(values(de)).toEqual(values(en))
  })
})
