import { describe, expect, it } from "vitest"
import { changeText, fieldLabel, idsIn } from "../src/admin/lib/change-texts"
import { changes, rulesOf } from "../src/admin/lib/differences"
import type { Json } from "../src/admin/lib/document"

const RULES = {
  version: 3,
  author: "user_1",
  created_at: "2026-11-26T00:00:00Z",
  earn: {
    rates: { eur: "1" },
    when: "order.placed",
    excluded_product_ids: ["prod_1"],
    multipliers: [
      { name: "Double week", factor: "2", category_ids: [] as string[], starts_at: null as string | null },
      { name: "Advent", factor: "3", category_ids: [] as string[], starts_at: null as string | null },
    ],
  },
  redeem: { max_dust: null as number | null, rewards: [{ id: "ship", name: "Free shipping", dust: 300 }] },
}

const TEXTS: Record<string, string> = {
  "rules.field.earn.rates.label": "Points per unit of money",
  "rules.field.earn.when.label": "Earned when",
  "rules.field.earn.when.choices.order_placed": "the order is placed",
  "rules.field.earn.when.choices.payment_captured": "the payment is captured",
  "rules.field.earn.excluded_product_ids.label": "Products that earn nothing",
  "rules.field.earn.multipliers.label": "Multipliers",
  "rules.field.earn.multipliers.one": "Multiplier",
  "rules.field.earn.multipliers.factor.label": "Factor",
  "rules.field.earn.multipliers.category_ids.label": "Categories",
  "rules.field.redeem.max_dust.label": "Most points at a time",
  "rules.field.redeem.max_dust.empty": "No limit",
  "rules.field.redeem.rewards.one": "Reward",
  "rules.field.redeem.rewards.dust.label": "Price in points",
  "history.removed": "removed",
  "history.yes": "yes",
  "history.no": "no",
}

function t(key: string, values?: Record<string, string | number>): string {
  return TEXTS[key] ?? (values?.defaultValue as string) ?? key
}

function lines(before: Json, after: Json, names = {}): string[] {
  return changes(before, after).map((change) => {
    const text = changeText(change, t, names)
    return `${text.label}: ${text.before} → ${text.after}`
  })
}

function earning(changed: object): Json {
  return { ...RULES, earn: { ...RULES.earn, ...changed } } as Json
}

describe("what differs between two versions, in the words of the form", () => {
  it("has the label of the field, or of what holds it", () => {
    expect(lines(RULES, earning({ rates: { eur: "2", usd: "1" }, when: "payment.captured" }))).toEqual([
      "Points per unit of money (EUR): 1 → 2",
      "Points per unit of money (USD): – → 1",
      "Earned when: the order is placed → the payment is captured",
    ])
  })

  it("has the form's word for an empty field", () => {
    expect(lines(RULES, { ...RULES, redeem: { ...RULES.redeem, max_dust: 5000 } })).toEqual([
      `Most points at a time: No limit → ${new Intl.NumberFormat().format(5000)}`,
    ])
  })

  it("names the entry of a list, wherever it stands", () => {
    const [first, second] = RULES.earn.multipliers
    expect(lines(RULES, earning({ multipliers: [second, { ...first, factor: "4" }] }))).toEqual([
      "Multiplier “Double week”: Factor: 2 → 4",
    ])
    expect(lines(RULES, { ...RULES, redeem: { ...RULES.redeem, rewards: [{ id: "ship", name: "Gratis", dust: 1 }] } })).toEqual([
      "Reward “Gratis”: name: Free shipping → Gratis",
      "Reward “Gratis”: Price in points: 300 → 1",
    ])
  })

  it("says what an added entry has, and that one is removed", () => {
    const added = { name: "Friday", factor: "5", category_ids: ["pcat_1"], starts_at: null }
    expect(lines(RULES, earning({ multipliers: [RULES.earn.multipliers[0], added] }), { pcat_1: "Shirts" })).toEqual([
      "Multiplier “Friday”: – → name Friday; Factor 5; Categories Shirts",
      expect.stringMatching(/^Multiplier “Advent”: .*Factor 3.* → removed$/),
    ].sort((one) => (typeof one === "string" ? 1 : -1)))
  })

  it("has names instead of ids, and the id of what is deleted", () => {
    const found = changes(RULES, earning({ excluded_product_ids: ["prod_2", "prod_3"] }))
    expect(idsIn(found)).toEqual({ products: ["prod_1", "prod_2", "prod_3"] })
    expect(lines(RULES, earning({ excluded_product_ids: ["prod_2", "prod_3"] }), { prod_1: "Shirt", prod_2: "Mug" })).toEqual([
      "Products that earn nothing: Shirt → Mug, prod_3",
    ])
  })

  it("is nothing for the same rules, saved by others at another time", () => {
    expect(changes(RULES, { ...RULES, version: 4, author: "user_2" })).toEqual([])
    expect(rulesOf(RULES)).toEqual({ earn: RULES.earn, redeem: RULES.redeem })
  })

  it("names the fields of a conflict as the bridge does", () => {
    expect(fieldLabel("earn.rates.eur", t)).toBe("Points per unit of money (EUR)")
    expect(fieldLabel("earn.multipliers.0.factor", t)).toBe("Factor")
    expect(fieldLabel("earn.unknown", t)).toBe("earn unknown")
  })
})
