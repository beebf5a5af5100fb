import { expect, test, vi } from "vitest"
import { sdk } from "./stand-ins/sdk"

vi.mock("../src/lib/session", () => ({ authHeaders: async () => ({}), getCartId: async () => undefined, getRegionId: async () => undefined }))

const { listOrders, listProducts, pageOf } = await import("../src/lib/shop")

const rows = (count: number) => Array.from({ length: count }, (_, number) => ({ id: `${number}` }))
const page = <T>(all: T[], { limit, offset }: { limit: number; offset: number }) => all.slice(offset, offset + limit)

test("every product is on one of the pages", async () => {
  sdk.store.region = { list: async () => ({ regions: [{ id: "reg_1", countries: [{ iso_2: "dk" }] }] }) }
  const all = rows(120)
  const list = vi.fn(async (query: { limit: number; offset: number }) => ({ products: page(all, query), count: all.length }))
  sdk.store.product = { list }

  const pages = await Promise.all([1, 2, 3].map((number) => listProducts(number)))

  expect(pages.flatMap(({ items }) => items)).toEqual(all)
  expect(pages.map(({ pages: of }) => of)).toEqual([3, 3, 3])
  expect(list.mock.calls.map(([query]) => (query as { order?: string }).order)).toEqual(["handle", "handle", "handle"])
})

test("every order is on one of the pages", async () => {
  const all = rows(41)
  sdk.store.order = { list: async (query: { limit: number; offset: number }) => ({ orders: page(all, query), count: all.length }) }

  const pages = await Promise.all([1, 2, 3].map((number) => listOrders(number)))

  expect(pages.flatMap(({ items }) => items)).toEqual(all)
  expect(pages[0]?.pages).toBe(3)
})

test("nothing is one page", async () => {
  sdk.store.order = { list: async () => ({ orders: [], count: 0 }) }

  expect(await listOrders(1)).toEqual({ items: [], page: 1, pages: 1 })
})

test.each([
  [undefined, 1],
  ["2", 2],
  ["0", 1],
  ["-1", 1],
  ["1.5", 1],
  ["1e3", 1000],
  ["", 1],
  ["two", 1],
  [["2", "3"], 1],
  ["99999999999", 1],
])("the page %j is %i", (typed, number) => {
  expect(pageOf(typed)).toBe(number)
})
