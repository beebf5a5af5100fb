import { renderToStaticMarkup } from "react-dom/server"
import { describe, expect, it, vi } from "vitest"
import { ImpactResult } from "../src/admin/components/programme-impact/impact-result"
import { en } from "../src/admin/i18n/en"

vi.mock("react-i18next", () => ({
  useTranslation: () => ({
    t: (key: string, values: Record<string, string | number>) => {
      const [group, name] = key.split(".") as ["impact", string]
      const texts = en[group] as Record<string, string>
      const text = texts[name] ?? texts[`${name}_${values.count === 1 ? "one" : "other"}`]
      return text.replace(/\{\{(\w+)\}\}/g, (_, value) => String(values[value]))
    },
  }),
}))

const MONTH = { name: "2026-11", orders: 2, now: 20, then: 60, difference: 40 }
const RESULT = {
  since: "2026-08-28T00:00:00Z",
  until: "2026-11-26T00:00:00Z",
  present_version: 3,
  orders: 2,
  now: 20,
  then: 60,
  difference: 40,
  changed: 1,
  customers: 1,
  by_month: [MONTH],
  by_currency: [{ ...MONTH, name: "eur" }],
  by_rule: [{ ...MONTH, name: "rate alone" }],
  most_affected: [],
  unreadable: [] as string[],
  limits_and_tiers_begin_at_nothing: false,
}

function shown(changed: object = {}): string {
  return renderToStaticMarkup(<ImpactResult result={{ ...RESULT, ...changed }} />)
}

describe("the impact of changed rules", () => {
  it("is shown as figures, as a chart with words, and by month and rule", () => {
    const page = shown()
    expect(page).toContain('role="img" aria-label="Points by month. 2026-11: 20 now, 60 then."')
    for (const text of ["By version 3", "+40", "Of 2", "The rate alone"]) expect(page).toContain(text)
    expect(page).not.toContain("could not be read")
  })

  it("says that there is nothing to compare without orders", () => {
    const page = shown({ orders: 0, now: 0, then: 0, difference: 0, changed: 0, customers: 0, by_month: [], by_rule: [] })
    expect(page).toContain("There were no orders in the last 90 days")
    expect(page).not.toContain("<svg")
  })

  it("says that rules change nothing", () => {
    expect(shown({ changed: 0, difference: 0, then: 20 })).toContain("These rules would have changed nothing.")
  })

  it("says what it does not count", () => {
    const page = shown({ unreadable: ["order_1", "order_2"], limits_and_tiers_begin_at_nothing: true })
    expect(page).toContain("2 orders could not be read and are left out.")
    expect(page).toContain("Limits and tiers begin at nothing")
  })
})
