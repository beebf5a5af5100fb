import { beforeEach, expect, test, vi } from "vitest"
import { FetchError, sdk } from "./stand-ins/sdk"

const tokenOf = (customer: string) => `h.${Buffer.from(JSON.stringify({ actor_id: customer })).toString("base64url")}.s`
const session = vi.hoisted(() => ({ token: undefined as string | undefined }))
vi.mock("../src/lib/session", () => ({
  authHeaders: async () => (session.token ? { authorization: `Bearer ${session.token}` } : {}),
  getCartId: async () => "cart_1",
  getToken: async () => session.token,
}))

const { getCart } = await import("../src/lib/shop")

const cart = (owner: string) => ({ id: "cart_1", customer_id: owner })
const retrieve = vi.fn()
const transferCart = vi.fn()

beforeEach(() => {
  session.token = undefined
  transferCart.mockReset()
  sdk.store.cart = { retrieve, transferCart }
  retrieve.mockResolvedValue({ cart: cart("cus_guest") })
})

test("a guest's cart stays a guest's", async () => {
  expect(await getCart()).toEqual(cart("cus_guest"))
  expect(transferCart).not.toHaveBeenCalled()
})

test("a guest's cart becomes the customer's who has logged in, on a later page when Medusa fails at first", async () => {
  session.token = tokenOf("cus_1")
  transferCart.mockRejectedValueOnce(new FetchError("An unknown error occurred.", "", 500))
  transferCart.mockResolvedValueOnce({ cart: cart("cus_1") })

  expect(await getCart()).toEqual(cart("cus_guest"))
  expect(await getCart()).toEqual(cart("cus_1"))
  expect(transferCart).toHaveBeenLastCalledWith("cart_1", expect.anything(), { authorization: `Bearer ${session.token}` })
})

test("the customer's own cart is only read", async () => {
  session.token = tokenOf("cus_1")
  retrieve.mockResolvedValue({ cart: cart("cus_1") })

  expect(await getCart()).toEqual(cart("cus_1"))
  expect(transferCart).not.toHaveBeenCalled()
  expect(retrieve.mock.lastCall?.[1].fields).toContain("+customer_id")
})
