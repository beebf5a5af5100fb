import { describe, expect, it } from "vitest"
import { refusal, type GuardedCart, type GuardedLine, type GuardedPromotion } from "../src/guard-rules"

const NOW = new Date("2026-11-22T12:00:00Z")
const ADA = "cus_ada"

const forMoney: GuardedPromotion = {
  code: "DUST-MONEY",
  status: "active",
  limit: 1,
  used: 0,
  metadata: { redemption_id: "dred_1", customer_id: ADA },
  campaign: null,
  application_method: { target_type: "order", max_quantity: null },
}
const forMugs = (quantity: number, code = "DUST-MUG"): GuardedPromotion => ({
  ...forMoney,
  code,
  application_method: { target_type: "items", max_quantity: quantity },
})
/** A fifth off everything that money may buy, as a reward. */
const fifth: GuardedPromotion = { ...forMoney, code: "DUST-FIFTH", application_method: { target_type: "items" } }
const forShipping: GuardedPromotion = {
  ...forMoney,
  code: "DUST-PARCEL",
  application_method: { target_type: "shipping_methods", max_quantity: null },
}
const ordinary: GuardedPromotion = { ...forMugs(9, "SUMMER"), metadata: null }

/** A line of mugs at 15 each, with what each code takes off. */
function mugs(quantity: number, off: Record<string, number>, changes: Partial<GuardedLine> = {}): GuardedLine {
  const taken = Object.values(off).reduce((sum, amount) => sum + amount, 0)
  const adjustments = Object.entries(off).map(([code, amount]) => ({ code, amount }))
  return {
    title: "Mug",
    product_id: "prod_mug",
    quantity,
    unit_price: 15,
    total: (quantity * 15 - taken) * 1.25,
    adjustments,
    ...changes,
  }
}

function judge(cart: Partial<GuardedCart>, promotions: GuardedPromotion[], dustOnly: string[] = []): string | undefined {
  return refusal({ customer_id: ADA, items: [], shipping_methods: [], ...cart }, promotions, new Set(dustOnly), NOW)
}

describe("codes", () => {
  const cart = { items: [mugs(1, { "DUST-MONEY": 5 })] }

  it("lets a good dust code through", () => {
    expect(judge(cart, [forMoney])).toBeUndefined()
  })

  it("refuses a code that is gone", () => {
    expect(judge(cart, [])).toContain("DUST-MONEY is no longer valid")
  })

  it("refuses a code that is gone from a shipping method too", () => {
    expect(judge({ shipping_methods: [{ adjustments: [{ code: "GONE", amount: 5 }] }] }, [])).toContain("GONE")
  })

  it.each([
    ["inactive", { status: "inactive" }, "no longer valid"],
    ["draft", { status: "draft" }, "no longer valid"],
    ["over", { campaign: { ends_at: "2026-11-22T12:00:00Z" } }, "has expired"],
    ["past its time", { metadata: { ...forMoney.metadata, expires_at: "2026-11-22T11:59:59+00:00" } }, "has expired"],
    ["not begun", { campaign: { starts_at: "2026-11-22T12:00:01Z" } }, "no longer valid"],
    ["used", { used: 1 }, "used already"],
    ["another customer's", { metadata: { redemption_id: "dred_1", customer_id: "cus_bob" } }, "another customer"],
    ["nobody's", { metadata: { redemption_id: "dred_1" } }, "another customer"],
  ])("refuses a dust code that is %s", (_, changes, words) => {
    expect(judge(cart, [{ ...forMoney, ...changes }])).toContain(words)
  })

  it("lets rewards through: a percentage, free shipping, free units", () => {
    const items = [mugs(2, { "DUST-FIFTH": 3, "DUST-MUG": 15 })]
    const shipping_methods = [{ adjustments: [{ code: "DUST-PARCEL", amount: 5 }] }]
    expect(judge({ items, shipping_methods }, [fifth, forMugs(1), forShipping])).toBeUndefined()
  })

  it("refuses another customer's free shipping", () => {
    const shipping_methods = [{ adjustments: [{ code: "DUST-PARCEL", amount: 5 }] }]
    const stolen = { ...forShipping, metadata: { redemption_id: "dred_1", customer_id: "cus_bob" } }
    expect(judge({ shipping_methods }, [stolen])).toContain("another customer")
  })

  it("refuses a guest's cart with a dust code", () => {
    expect(judge({ ...cart, customer_id: null }, [forMoney])).toContain("another customer")
  })

  it("leaves the shop's own codes to Medusa", () => {
    expect(judge({ items: [mugs(1, { SUMMER: 5 })] }, [{ ...ordinary, status: "inactive" }])).toBeUndefined()
  })
})

describe("dust-only products", () => {
  const judgeMugs = (items: GuardedLine[], promotions: GuardedPromotion[]): string | undefined =>
    judge({ items }, promotions, ["prod_mug"])

  it("are of no concern when they are not in the cart", () => {
    expect(judge({ items: [mugs(1, {}, { product_id: "prod_other" })] }, [], ["prod_mug"])).toBeUndefined()
  })

  it("are sold when dust covers every unit", () => {
    expect(judgeMugs([mugs(2, { "DUST-MUG": 30 })], [forMugs(2)])).toBeUndefined()
  })

  it("are sold when two codes cover them together, over two lines", () => {
    const lines = [mugs(1, { A: 15 }), mugs(2, { A: 15, B: 15 })]
    expect(judgeMugs(lines, [forMugs(2, "A"), forMugs(1, "B")])).toBeUndefined()
  })

  it("are sold when a discount of the shop has made them cheaper before dust paid the rest", () => {
    expect(judgeMugs([mugs(1, { SUMMER: 5, "DUST-MUG": 10 })], [ordinary, forMugs(1)])).toBeUndefined()
  })

  it("are refused without a code", () => {
    expect(judgeMugs([mugs(1, {})], [])).toBe("“Mug” can only be bought with dust. Please redeem dust for it first.")
  })

  it("are refused for an ordinary code", () => {
    expect(judgeMugs([mugs(1, { SUMMER: 15 })], [ordinary])).toContain("only be bought with dust")
  })

  it("are refused for dust that became a discount in money", () => {
    expect(judgeMugs([mugs(1, { "DUST-MONEY": 15 })], [forMoney])).toContain("only be bought with dust")
  })

  it("are refused for a percentage, be it of everything", () => {
    const all = { ...fifth, application_method: { target_type: "order", max_quantity: null } }
    expect(judgeMugs([mugs(1, { "DUST-FIFTH": 15 })], [fifth])).toContain("only be bought with dust")
    expect(judgeMugs([mugs(1, { "DUST-FIFTH": 15 })], [all])).toContain("only be bought with dust")
  })

  it("are refused when a percentage pays for the units that dust for products does not cover", () => {
    expect(judgeMugs([mugs(2, { "DUST-MUG": 15, "DUST-FIFTH": 15 })], [forMugs(1), fifth])).toContain("Only 1 of 2")
  })

  it("are sold beside free shipping", () => {
    const shipping_methods = [{ adjustments: [{ code: "DUST-PARCEL", amount: 5 }] }]
    const items = [mugs(1, { "DUST-MUG": 15 })]
    expect(judge({ items, shipping_methods }, [forMugs(1), forShipping], ["prod_mug"])).toBeUndefined()
  })

  it("are refused when there are more units than dust covers", () => {
    expect(judgeMugs([mugs(3, { "DUST-MUG": 15 })], [forMugs(1)])).toContain("Only 1 of 3 × “Mug” are paid")
  })

  it("are refused when an ordinary code pays for the units that dust does not cover", () => {
    expect(judgeMugs([mugs(2, { "DUST-MUG": 15, SUMMER: 15 })], [forMugs(1), ordinary])).toContain("Only 1 of 2")
  })

  it("are refused when there is money left to pay", () => {
    expect(judgeMugs([mugs(1, { "DUST-MUG": 14 })], [forMugs(1)])).toContain("not fully paid")
  })

  it("are refused when they have no price, with a code that takes nothing off or without", () => {
    const free = { unit_price: 0, total: 0 }
    expect(judgeMugs([mugs(1, {}, free)], [])).toContain("has no price")
    expect(judgeMugs([mugs(1, { "DUST-MUG": 0 }, free)], [forMugs(1)])).toContain("has no price")
  })
})
