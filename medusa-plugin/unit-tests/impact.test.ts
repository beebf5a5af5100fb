import { describe, expect, it } from "vitest"
import { de } from "../src/admin/i18n/de"
import { en } from "../src/admin/i18n/en"
import { isFuture, savingOf, wrongRules } from "../src/admin/lib/drafts"
import { DustError } from "../src/admin/lib/dust"
import { barsOf, chartText, DAYS, ruleName, since } from "../src/admin/lib/impact"

const MONTHS = [
  { name: "2026-10", orders: 2, now: 50, then: 100, difference: 50 },
  { name: "2026-11", orders: 1, now: 0, then: 25, difference: 25 },
]

function t(key: string, values: Record<string, string | number> = {}): string {
  const [group, name] = key.split(".") as ["impact", keyof typeof en.impact]
  return en[group][name].replace(/{{(\w+)}}/g, (_, value) => String(values[value]))
}

describe("the impact of rules", () => {
  it("is about the last 90 days", () => {
    expect(since(new Date("2026-11-26T12:00:00Z"))).toBe("2026-08-28T12:00:00.000Z")
    expect(DAYS).toBe(90)
  })

  it("is drawn as two bars for each month, the largest as high as the chart", () => {
    const bars = barsOf(MONTHS, 600, 100)
    expect(bars.map(({ name, kind, height }) => [name, kind, height])).toEqual([
      ["2026-10", "now", 50],
      ["2026-10", "then", 100],
      ["2026-11", "now", 0],
      ["2026-11", "then", 25],
    ])
    for (const { x, y, width, height } of bars) {
      expect(y + height).toBe(100)
      expect(x).toBeGreaterThanOrEqual(0)
      expect(x + width).toBeLessThanOrEqual(600)
    }
    expect(bars[1].x).toBe(bars[0].x + bars[0].width)
  })

  it("is drawn without orders, and with nothing but zeros", () => {
    expect(barsOf([], 600, 100)).toEqual([])
    expect(barsOf([{ ...MONTHS[0], now: 0, then: 0 }], 600, 100).every(({ height }) => height === 0)).toBe(true)
  })

  it("is said in words for those who do not see the chart", () => {
    expect(chartText(MONTHS, t)).toBe("Points by month. 2026-10: 50 now, 100 then. 2026-11: 0 now, 25 then.")
  })

  it("has the names of the rules", () => {
    expect(ruleName("rate alone", t)).toBe("The rate alone")
    expect(ruleName("fixed points × Double week", t)).toBe("Fixed points × Double week")
    expect(ruleName("shipping, rounding, limits", t)).toBe("Shipping, rounding and limits")
  })
})

describe("a draft", () => {
  it("says how many of its rules are wrong, and leaves out its own fields", () => {
    const errors = ["name", "starts_at", "earn.rates.eur", "name.one"].map((field) => ({ field, message: "no" }))
    expect(wrongRules(new DustError({ errors }, 422))).toBe(2)
    expect(wrongRules(new DustError({}, 409))).toBe(0)
    expect(wrongRules(new Error("away"))).toBe(0)
  })

  it("that is gone is saved as a new one, and another user's is replaced only when asked", () => {
    const draft = { id: "draft_1" }
    const refused = (code: string): DustError => new DustError({ code }, 404)
    expect(savingOf(undefined, null)).toBe("new")
    expect(savingOf(draft, null)).toBe("replace")
    expect(savingOf(draft, refused("draft_replaced"))).toBe("overwrite")
    expect(savingOf(draft, refused("unknown_draft"))).toBe("new")
    expect(savingOf(draft, refused("bridge_unavailable"))).toBe("replace")
    expect(savingOf(draft, new Error("away"))).toBe("replace")
  })

  it("keeps a start date only while it is in the future", () => {
    const now = Date.parse("2026-11-26T12:00:00Z")
    expect(isFuture("2026-11-26T12:00:01Z", now)).toBe(true)
    expect(isFuture("2026-11-26T12:00:00Z", now)).toBe(false)
    expect(isFuture(null, now)).toBe(false)
  })
})

describe("the texts", () => {
  it("have the same values in both languages", () => {
    const values = (text: string): string[] => (text.match(/{{\w+}}/g) ?? []).sort()
    for (const group of ["history", "impact", "drafts"] as const) {
      for (const [key, text] of Object.entries(en[group])) {
        expect(values((de[group] as Record<string, string>)[key]), `${group}.${key}`).toEqual(values(text))
      }
    }
  })
})
