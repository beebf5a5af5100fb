import { asValue } from "@medusajs/framework/awilix"
import type { MedusaContainer } from "@medusajs/framework/types"
import { createMedusaContainer } from "@medusajs/framework/utils"
import { beforeEach, describe, expect, it, vi } from "vitest"
import cleanCarts from "../src/jobs/clean-carts"
import { findRemovedCode } from "../src/lib/cart-codes"
import { removeCodes } from "../src/workflows/steps/remove-codes-from-carts"
import { withdrawDustCodesWorkflow } from "../src/workflows/withdraw-codes"

type Input = { cart_id: string; promo_codes: string[]; action: string; force_refresh_payment_collection: boolean }

const removals: Input[] = []
const locked = new Set<string>()

vi.mock("@medusajs/medusa/core-flows", () => ({
  updateCartPromotionsWorkflow: () => ({
    run: async ({ input }: { input: Input }) => {
      if (locked.has(input.cart_id)) throw new Error("Timed-out acquiring lock.")
      removals.push(input)
    },
  }),
}))

const DUST = [{ id: "prorul_1", description: '{"redemption_id":"dred_1"}' }]

/** A Medusa with these promotions, links and carts; links may be deleted, promotions too. */
function medusa(content: {
  promotions: { id: string; code: string; rules?: object; deleted?: boolean }[]
  links: { id?: string; cart_id: string; promotion_id: string; deleted_at?: string | null }[]
  completed?: string[]
}): { container: MedusaContainer; queries: string[] } {
  const queries: string[] = []
  const graph = async ({ entity, filters, withDeleted }: { entity: string; filters: Record<string, unknown>; withDeleted?: boolean }) => {
    queries.push(entity)
    const wanted = (value: unknown, filter: unknown) => [filter].flat().includes(value)
    if (entity === "cart_promotion") {
      const links = content.links.filter((link) => withDeleted || !link.deleted_at)
      const [[name, filter]] = Object.entries(filters)
      return { data: links.filter((link) => wanted(link[name as "id"], filter)) }
    }
    if (entity === "promotion") {
      return { data: content.promotions.filter(({ id, deleted }) => !deleted && wanted(id, filters.id)) }
    }
    const open = [filters.id].flat().filter((id) => !content.completed?.includes(id as string))
    return { data: open.map((id) => ({ id })) }
  }
  const listPromotions = async (filters: { code?: string[]; deleted_at?: object }) =>
    content.promotions.filter(({ code, deleted }) => (filters.deleted_at ? deleted : filters.code?.includes(code)))
  const container = createMedusaContainer()
  container.register({
    query: asValue({ graph }),
    promotion: asValue({ listPromotions }),
    logger: asValue({ warn: () => undefined, info: () => undefined }),
  })
  return { container, queries }
}

async function withdrawCodes(codes: string[], container: MedusaContainer, dry_run = false): Promise<unknown> {
  const { result } = await withdrawDustCodesWorkflow(container).run({ input: { codes, dry_run } })
  return result
}

beforeEach(() => {
  removals.length = 0
  locked.clear()
})

describe("withdrawDustCodesWorkflow", () => {
  const links = [
    { cart_id: "cart_1", promotion_id: "promo_1" },
    { cart_id: "cart_2", promotion_id: "promo_2" },
    { cart_id: "cart_done", promotion_id: "promo_1" },
  ]
  const promotions = [
    { id: "promo_1", code: "A" },
    { id: "promo_2", code: "B", deleted: true },
    { id: "promo_3", code: "C" },
  ]

  it("removes the codes from every open cart, also those of deleted promotions", async () => {
    const { container } = medusa({ promotions, links, completed: ["cart_done"] })
    expect(await withdrawCodes(["A", "B", "C", "unknown"], container)).toEqual({
      carts: [
        { cart_id: "cart_1", codes: ["A"] },
        { cart_id: "cart_2", codes: ["B"] },
      ],
      remaining: 0,
    })
    expect(removals).toEqual([
      { cart_id: "cart_1", promo_codes: ["A"], action: "remove", force_refresh_payment_collection: true },
      { cart_id: "cart_2", promo_codes: ["B"], action: "remove", force_refresh_payment_collection: true },
    ])
  })

  it("only finds them in a dry run", async () => {
    const { container } = medusa({ promotions, links, completed: ["cart_done"] })
    expect(await withdrawCodes(["A"], container, true)).toEqual({
      carts: [{ cart_id: "cart_1", codes: ["A"] }],
      remaining: 1,
    })
    expect(removals).toEqual([])
  })

  it("counts a locked cart as remaining, and does the others", async () => {
    locked.add("cart_1")
    const { container } = medusa({ promotions, links, completed: ["cart_done"] })
    expect(await withdrawCodes(["A", "B"], container)).toEqual({ carts: [{ cart_id: "cart_2", codes: ["B"] }], remaining: 1 })
  })

  it("stops before its caller's time-out, and says how many carts are left", async () => {
    const carts = Array.from({ length: 10 }, (_, n) => ({ cart_id: `cart_${n}`, codes: ["A"] }))
    const { container } = medusa({ promotions, links })
    let time = 0
    // Each look at the clock is a second later: one for the end, one for each portion.
    const done = await removeCodes({ carts }, container, () => (time += 1_000) - 1_000)
    expect([done.carts.length, done.remaining]).toEqual([4, 6])
  })

  it("asks for nothing more when no cart holds a code", async () => {
    const { container, queries } = medusa({ promotions, links: [] })
    expect(await withdrawCodes(["A"], container)).toEqual({ carts: [], remaining: 0 })
    expect(queries).toEqual(["cart_promotion"])
  })
})

describe("findRemovedCode", () => {
  const promotions = [
    { id: "promo_dust", code: "DUST-1", rules: DUST },
    { id: "promo_shop", code: "SUMMER" },
    { id: "promo_gone", code: "DUST-2", rules: DUST, deleted: true },
  ]
  const link = (promotion_id: string, deleted_at: string | null = "2026-01-01T00:00:00Z") => ({
    id: "cartpromo_1", cart_id: "cart_1", promotion_id, deleted_at,
  })

  it("names cart and code", async () => {
    const { container } = medusa({ promotions, links: [link("promo_dust")] })
    expect(await findRemovedCode("cartpromo_1", container)).toEqual({ cart_id: "cart_1", codes: ["DUST-1"] })
  })

  it.each([
    ["a shop's own coupon", [link("promo_shop")]],
    ["a promotion that is deleted", [link("promo_gone")]],
    ["a link that stands", [link("promo_dust", null)]],
    ["a link that was made again under another id", [{ ...link("promo_dust", null), id: "cartpromo_2" }]],
  ])("says nothing of %s", async (_, links) => {
    const { container } = medusa({ promotions, links })
    expect(await findRemovedCode("cartpromo_1", container)).toBeUndefined()
  })

  it("costs one query at a change that keeps the code", async () => {
    const { container, queries } = medusa({ promotions, links: [] })
    await findRemovedCode("cartpromo_1", container)
    expect(queries).toEqual(["cart_promotion"])
  })
})

describe("the job clean-carts", () => {
  it("removes dead codes of Dust, and leaves other promotions alone", async () => {
    const { container } = medusa({
      promotions: [
        { id: "promo_1", code: "DUST-1", rules: DUST, deleted: true },
        { id: "promo_2", code: "DUST-2", rules: DUST },
        { id: "promo_3", code: "SUMMER", deleted: true },
      ],
      links: ["promo_1", "promo_2", "promo_3"].map((promotion_id, n) => ({ cart_id: `cart_${n}`, promotion_id })),
    })
    await cleanCarts(container)
    expect(removals.map(({ cart_id, promo_codes }) => [cart_id, promo_codes])).toEqual([["cart_0", ["DUST-1"]]])
  })
})
