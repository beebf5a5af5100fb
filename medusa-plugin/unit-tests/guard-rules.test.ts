import { describe, expect, it } from "vitest"
import { bindings } from "../src/lib/spending-cart"
import {
  differInPrice,
  isDust,
  redemptionOf,
  refusal,
  type CodeFacts,
  type Facts,
  type GuardedCart,
  type GuardedLine,
  type GuardedPromotion,
} from "../src/lib/guard-rules"

const NOW = new Date("2026-11-22T12:00:00Z")
const ADA = "cus_ada"

/** The rules of a promotion of Dust, whose first one carries these facts. */
function rulesOf(facts: Partial<CodeFacts>): GuardedPromotion["rules"] {
  const description = JSON.stringify({ redemption_id: "dred_1", ...facts })
  return [{ id: "prorul_1", attribute: "customer.id", description }, { id: "prorul_2", description: null }]
}

const FACTS = { redemption_id: "dred_1", customer_id: ADA, cart_id: "cart_1" }

const forMoney: GuardedPromotion = {
  code: "DUST-MONEY",
  status: "active",
  limit: 1,
  used: 0,
  rules: rulesOf(FACTS),
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
const ordinary: GuardedPromotion = { ...forMugs(9, "SUMMER"), rules: [{ id: "prorul_3", description: "{for the summer}" }, null] }

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

function judge(
  cart: Partial<GuardedCart>,
  promotions: GuardedPromotion[],
  dustOnly: string[] = [],
  facts: Partial<Facts> = {},
): string | undefined {
  return refusal(
    { id: "cart_1", currency_code: "eur", customer_id: ADA, items: [], shipping_methods: [], ...cart },
    { promotions, dustOnly: new Set(dustOnly), mixedPrices: new Set(), decimals: 2, now: NOW, ...facts },
  )?.message
}

describe("the facts of a redemption", () => {
  it("are read from the rule that carries them", () => {
    expect(redemptionOf(forMoney)).toEqual(FACTS)
  })

  it.each([
    ["without rules", undefined],
    ["with rules of the shop", ordinary.rules],
    ["with JSON that is not ours", [{ id: "prorul_1", description: '{"customer_id": "cus_ada"}' }]],
    ["with JSON that is no object", [{ id: "prorul_1", description: "[1]" }]],
  ])("are missing in a promotion %s", (_, rules) => {
    expect(isDust({ ...forMoney, rules })).toBe(false)
  })
})

describe("codes", () => {
  const cart = { items: [mugs(1, { "DUST-MONEY": 5 })] }

  it("lets a good code through", () => {
    expect(judge(cart, [forMoney])).toBeUndefined()
  })

  it("has a code for programs with each sentence", () => {
    const refused = refusal({ id: "cart_1", items: cart.items }, { promotions: [], dustOnly: new Set(), mixedPrices: new Set(), decimals: 2, now: NOW })
    expect(refused).toEqual({
      code: "code_gone",
      message: "The code DUST-MONEY is no longer valid. Please remove it from the cart.",
    })
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
    ["past its time", { rules: rulesOf({ ...FACTS, expires_at: "2026-11-22T11:59:59+00:00" }) }, "has expired"],
    ["not begun", { campaign: { starts_at: "2026-11-22T12:00:01Z" } }, "no longer valid"],
    ["used", { used: 1 }, "used already"],
    ["another customer's", { rules: rulesOf({ customer_id: "cus_bob" }) }, "another customer"],
    ["nobody's", { rules: rulesOf({}) }, "another customer"],
  ])("refuses a code that is %s", (_, changes, words) => {
    expect(judge(cart, [{ ...forMoney, ...changes }])).toContain(words)
  })

  it("lets rewards through: a percentage, free shipping, free units", () => {
    const items = [mugs(2, { "DUST-FIFTH": 3, "DUST-MUG": 15 })]
    const shipping_methods = [{ adjustments: [{ code: "DUST-PARCEL", amount: 5 }] }]
    expect(judge({ items, shipping_methods }, [fifth, forMugs(1), forShipping])).toBeUndefined()
  })

  it("refuses another customer's free shipping", () => {
    const shipping_methods = [{ adjustments: [{ code: "DUST-PARCEL", amount: 5 }] }]
    const stolen = { ...forShipping, rules: rulesOf({ customer_id: "cus_bob" }) }
    expect(judge({ shipping_methods }, [stolen])).toContain("another customer")
  })

  it("refuses a guest's cart with a code", () => {
    expect(judge({ ...cart, customer_id: null }, [forMoney])).toContain("another customer")
  })

  it("leaves the shop's own codes to Medusa", () => {
    expect(judge({ items: [mugs(1, { SUMMER: 5 })] }, [{ ...ordinary, status: "inactive" }])).toBeUndefined()
  })
})

describe("points-only products", () => {
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
    expect(judgeMugs([mugs(1, {})], [])).toBe("“Mug” can only be bought with points. Please redeem points for it first.")
  })

  it("are refused for an ordinary code", () => {
    expect(judgeMugs([mugs(1, { SUMMER: 15 })], [ordinary])).toContain("only be bought with points")
  })

  it("are refused for points that became a discount in money", () => {
    expect(judgeMugs([mugs(1, { "DUST-MONEY": 15 })], [forMoney])).toContain("only be bought with points")
  })

  it("are refused for a percentage, be it of everything", () => {
    const all = { ...fifth, application_method: { target_type: "order", max_quantity: null } }
    expect(judgeMugs([mugs(1, { "DUST-FIFTH": 15 })], [fifth])).toContain("only be bought with points")
    expect(judgeMugs([mugs(1, { "DUST-FIFTH": 15 })], [all])).toContain("only be bought with points")
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

  it("are refused by weight, however many units are paid", () => {
    expect(judgeMugs([mugs(1.5, { "DUST-MUG": 22.5 })], [forMugs(2)])).toContain("whole units of “Mug” only")
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

  it("are sold when floating-point noise is left to pay, and refused when the smallest unit is", () => {
    // Seen on 2.21.2 with prices that include 20 % tax: 3 × 10.00 paid wholly leave 1e-20.
    expect(judgeMugs([mugs(1, { "DUST-MUG": 15 }, { total: "1e-20" })], [forMugs(1)])).toBeUndefined()
    expect(judgeMugs([mugs(1, { "DUST-MUG": 15 }, { total: 0.0049 })], [forMugs(1)])).toBeUndefined()
    expect(judgeMugs([mugs(1, { "DUST-MUG": 15 }, { total: 0.01 })], [forMugs(1)])).toContain("not fully paid")
    const yen = { decimals: 0 }
    const items = [mugs(1, { "DUST-MUG": 15 }, { total: 0.4 })]
    expect(judge({ items }, [forMugs(1)], ["prod_mug"], yen)).toBeUndefined()
  })
})

describe("the binding of a code to a cart", () => {
  const cart = { items: [mugs(1, { "DUST-MONEY": 5 })] }
  const bound = (cart_id?: string): GuardedPromotion => ({ ...forMoney, rules: rulesOf({ ...FACTS, cart_id }) })

  it("refuses a code that its owner has not applied, whoever the cart says the customer is", () => {
    expect(judge(cart, [bound()])).toContain("was not applied to this cart by its owner. Please sign in")
  })

  it("refuses a code that is bound to another cart", () => {
    expect(judge(cart, [bound("cart_2")])).toContain("was not applied to this cart by its owner")
  })

  it("refuses a code in a cart without an id", () => {
    expect(judge({ ...cart, id: undefined }, [bound()])).toContain("was not applied")
  })

  const spending = { id: "cart_1", customer_id: ADA, promotions: [bound(), null, ordinary] }

  it("is made for the owner who is signed in", () => {
    const binding = [{ id: "prorul_1", description: JSON.stringify(FACTS) }]
    expect(bindings(spending, ADA)).toEqual(binding)
    expect(bindings(spending, ADA, ["DUST-MONEY"])).toEqual(binding)
    expect(bindings({ ...spending, promotions: [bound("cart_2")] }, ADA)).toEqual(binding)
    expect(bindings({ ...spending, promotions: [bound("cart_1")] }, ADA)).toEqual([])
  })

  it.each([
    ["nobody", undefined, spending],
    ["another customer", "cus_bob", spending],
    ["the owner of the code, in another customer's cart", ADA, { ...spending, customer_id: "cus_bob" }],
    ["the owner of the cart, with another customer's code", "cus_bob", { ...spending, customer_id: "cus_bob" }],
    ["the owner, of a cart that is ordered", ADA, { ...spending, completed_at: NOW }],
    ["the owner, of a cart that is gone", ADA, undefined],
  ])("is not made for %s", (_, actor, cart) => {
    expect(bindings(cart, actor)).toEqual([])
  })

  it("is not made for a code that the request does not name", () => {
    expect(bindings(spending, ADA, ["SUMMER"])).toEqual([])
  })
})

describe("a reward's minimum", () => {
  const capped: GuardedPromotion = { ...forMoney, code: "DUST-CAPPED", rules: rulesOf({ ...FACTS, min_cart: "50" }) }
  const thing = (price: number, off: number): GuardedLine => ({
    title: "Thing",
    product_id: "prod_thing",
    quantity: 1,
    unit_price: price,
    total: price - off,
    original_total: price,
    adjustments: [{ code: "DUST-CAPPED", amount: off }],
  })
  const paidMugs = mugs(3, { "DUST-MUG": 45 }, { original_total: 56.25 })

  it("counts what the lines cost before discounts", () => {
    expect(judge({ items: [thing(50, 10)] }, [capped])).toBeUndefined()
    expect(judge({ items: [thing(49.9998, 10)] }, [capped])).toBeUndefined()
    expect(judge({ items: [thing(49.99, 10)] }, [capped])).toBe(
      "The code DUST-CAPPED needs at least 50.00 EUR of products that are not bought with points. " +
        "Please add something, or remove the code.",
    )
  })

  it("is not reached by products that only points can buy", () => {
    const promotions = [capped, forMugs(3)]
    expect(judge({ items: [thing(50, 10), paidMugs] }, promotions, ["prod_mug"])).toBeUndefined()
    expect(judge({ items: [thing(10, 10), paidMugs] }, promotions, ["prod_mug"])).toContain("at least 50.00 EUR")
  })
})

describe("the programme's share", () => {
  const half = (code: string, share = "0.5"): GuardedPromotion => ({
    ...forMoney,
    code,
    rules: rulesOf({ ...FACTS, max_share: share }),
  })
  /** A line of one thing at a price with tax, with what each code takes off. */
  const thing = (price: number, off: Record<string, number>, product_id = "prod_thing"): GuardedLine => ({
    title: "Thing",
    product_id,
    quantity: 1,
    unit_price: price,
    total: price - Object.values(off).reduce((sum, amount) => sum + amount, 0),
    adjustments: Object.entries(off).map(([code, amount]) => ({ code, amount })),
  })

  it("holds for two codes together", () => {
    const promotions = [half("A"), half("B")]
    expect(judge({ items: [thing(50, { A: 25 })] }, promotions)).toBeUndefined()
    expect(judge({ items: [thing(50, { A: 20, B: 5 })] }, promotions)).toBeUndefined()
    expect(judge({ items: [thing(50, { A: 25, B: 25 })] }, promotions)).toBe(
      "Points take 50.00 EUR off this cart, and at most 25.00 EUR is allowed. " +
        "Please remove a code, and redeem fewer points.",
    )
    expect(judge({ items: [thing(50, { A: 25, B: 0.01 })] }, promotions)).toContain("at most 25.00 EUR")
  })

  it("is of what is left after the shop's own coupon", () => {
    const promotions = [half("A"), ordinary]
    expect(judge({ items: [thing(50, { A: 25, SUMMER: 25 })] }, promotions)).toContain("at most 12.50 EUR")
    expect(judge({ items: [thing(50, { A: 15, SUMMER: 20 })] }, promotions)).toBeUndefined()
  })

  it("is the smallest of those that the codes carry", () => {
    expect(judge({ items: [thing(50, { A: 10, B: 10 })] }, [half("A", "1"), half("B", "0.3")])).toContain("15.00 EUR")
    expect(judge({ items: [thing(50, { A: 25, B: 25 })] }, [half("A", "1"), half("B", "1")])).toBeUndefined()
  })

  it("leaves out points-only lines, units at their own price in points, and shipping", () => {
    const items = [thing(50, { A: 25 }), mugs(1, { "DUST-MUG": 15 }), thing(30, { UNITS: 30 }, "prod_cap")]
    const shipping_methods = [{ adjustments: [{ code: "DUST-PARCEL", amount: 5 }] }]
    const promotions = [half("A"), forMugs(1), forMugs(1, "UNITS"), forShipping]
    expect(judge({ items, shipping_methods }, promotions, ["prod_mug"])).toBeUndefined()
    items[0] = thing(50, { A: 26 })
    expect(judge({ items, shipping_methods }, promotions, ["prod_mug"])).toContain("at most 25.00 EUR")
  })

  it("counts a free product and a percentage", () => {
    const free = { ...forMugs(1, "FREE"), rules: half("FREE").rules }
    expect(judge({ items: [thing(50, { FREE: 50 }, "prod_cap"), thing(20, {})] }, [free])).toContain("35.00 EUR")
    expect(judge({ items: [thing(50, { FREE: 50 }, "prod_cap"), thing(50, {})] }, [free])).toBeUndefined()
  })

  it("never refuses for noise or for half of the smallest unit", () => {
    const items = [thing(50, { A: 25.000000000000004 })]
    expect(judge({ items }, [half("A")])).toBeUndefined()
    const yen = { decimals: 0 }
    expect(judge({ items: [thing(101, { A: 50.5 })], currency_code: "jpy" }, [half("A")], [], yen)).toBeUndefined()
    expect(judge({ items: [thing(101, { A: 52 })], currency_code: "jpy" }, [half("A")], [], yen)).toContain("51 JPY")
  })
})

describe("a cart that a gift card or store credit pays too", () => {
  const items = [mugs(1, { "DUST-MONEY": 5 })]
  const parcel = [{ adjustments: [{ code: "DUST-PARCEL", amount: 5 }] }]

  it("is not ordered for less than nothing with points", () => {
    expect(judge({ items, total: -5 }, [forMoney])).toBe(
      "Codes, gift cards and store credit take 5.00 EUR more off than this cart costs. " +
        "Please remove the code DUST-MONEY, and redeem fewer points.",
    )
    expect(judge({ shipping_methods: parcel, total: -0.01 }, [forShipping])).toContain("0.01 EUR more")
    const yen = { decimals: 0 }
    expect(judge({ items, total: -1, currency_code: "jpy" }, [forMoney], [], yen)).toContain("1 JPY more")
  })

  it.each([
    ["to zero", 0],
    ["to noise below it", -1e-20],
    ["to less than half a cent below it", -0.004],
    ["in part", 10],
    ["of an unknown total", undefined],
  ])("may take points %s", (_, total) => {
    expect(judge({ items, total }, [forMoney])).toBeUndefined()
  })

  it("is left to the shop if points take nothing off what the credit pays", () => {
    expect(judge({ items: [mugs(1, { SUMMER: 5 })], total: -5 }, [ordinary])).toBeUndefined()
    expect(judge({ items: [mugs(1, { "DUST-MUG": 15 })], total: -5 }, [forMugs(1)], ["prod_mug"])).toBeUndefined()
  })
})

describe("variants", () => {
  const eur = (amount: number, more: object = {}) => ({ amount, currency_code: "eur", ...more })
  const usd = { amount: 12, currency_code: "usd" }

  it.each([
    ["one variant", [{ prices: [eur(10), usd] }], false],
    ["the same prices, in another order", [{ prices: [eur(10), usd] }, { prices: [usd, eur("10" as never)] }], false],
    ["one that is not sold in a currency", [{ prices: [eur(10), usd] }, { prices: [eur(10)] }], false],
    ["a sale of one", [{ prices: [eur(10), eur(8, { price_list_id: "plist_1" })] }, { prices: [eur(10)] }], false],
    ["another price", [{ prices: [eur(10)] }, { prices: [eur(100)] }], true],
    ["another price in one currency", [{ prices: [eur(10), usd] }, { prices: [eur(10), eur(9, { min_quantity: 5 })] }], true],
    ["another price in a region", [
      { prices: [eur(10), eur(11, { price_rules: [{ attribute: "region_id", value: "reg_1" }] })] },
      { prices: [eur(10), eur(12, { price_rules: [{ attribute: "region_id", value: "reg_1" }] })] },
    ], true],
    ["none at all", [], false],
  ])("differ in price or not: %s", (_, variants, differ) => {
    expect(differInPrice(variants)).toBe(differ)
  })

  it("that differ in price are not paid by the unit", () => {
    const mixedPrices = { mixedPrices: new Set(["prod_mug"]) }
    expect(judge({ items: [mugs(1, { "DUST-MUG": 15 })] }, [forMugs(1)], ["prod_mug"], mixedPrices)).toContain(
      "The variants of “Mug” have different prices, so points cannot pay for it. Please remove the code DUST-MUG",
    )
    expect(judge({ items: [mugs(1, { "DUST-MONEY": 5 })] }, [forMoney], [], mixedPrices)).toBeUndefined()
  })
})
