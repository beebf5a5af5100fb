import { beforeEach, expect, test, vi } from "vitest"
import { FetchError, sdk } from "./stand-ins/sdk"

const session = vi.hoisted(() => ({ region: "reg_dk" }))
vi.mock("next/cache", () => ({ revalidatePath: () => {} }))
vi.mock("next/navigation", () => ({ redirect: () => {}, unstable_rethrow: () => {} }))
vi.mock("next/headers", () => ({ headers: async () => new Headers({ "accept-language": "en" }), cookies: async () => ({}) }))
vi.mock("../src/lib/session", () => ({
  authHeaders: async () => ({}),
  getCartId: async () => "cart_1",
  getToken: async () => undefined,
  setRegionId: async (id: string) => void (session.region = id),
}))

const { chooseRegion } = await import("../src/lib/actions")
const update = vi.fn()

beforeEach(() => {
  session.region = "reg_dk"
  update.mockReset()
  sdk.store.cart = { retrieve: async () => ({ cart: { id: "cart_1", items: [] } }), update }
})

const choice = new FormData()
choice.set("region_id", "reg_us")

test("the shop and the cart change to the region", async () => {
  expect(await chooseRegion({}, choice)).toEqual({})
  expect(update).toHaveBeenCalledWith("cart_1", { region_id: "reg_us" }, {}, {})
  expect(session.region).toBe("reg_us")
})

test("the shop keeps its region while the cart has to", async () => {
  update.mockRejectedValue(new FetchError("An unknown error occurred.", "", 500))

  expect((await chooseRegion({}, choice)).error).toContain("The shop does not answer right now.")
  expect(session.region).toBe("reg_dk")
})
