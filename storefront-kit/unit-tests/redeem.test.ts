import { expect, test } from "vitest"
import { createDustActions, createDustClient } from "../src/index.js"
import { problem, redemption, startServer, type Received, type Reply } from "./server.js"

const REQUEST = { cart_id: "cart_1", dust: 300 } as const

async function serving(answer: (request: Received) => Reply | undefined, timeoutMs?: number) {
  const server = await startServer(answer)
  return { ...server, client: createDustClient({ baseUrl: server.url, token: "t", timeoutMs }) }
}

/** A redemption that is pending, and afterwards what `later` answers. */
function startedThen(...later: Reply[]) {
  return serving(({ method }) => (method === "POST" ? redemption("pending") : later.shift()))
}

test("redeeming waits until the code is active", async () => {
  const { client, requests } = await startedThen(redemption("pending"), redemption("active"))

  const { data } = await client.redeem(REQUEST, "key-1")

  expect(data).toMatchObject({ id: "red_1", state: "active", code: "DUST-ABC" })
  expect(requests.map(({ method, url }) => `${method} ${url}`)).toEqual([
    "POST /store/dust/redemptions",
    "GET /store/dust/redemptions/red_1?wait=10",
    "GET /store/dust/redemptions/red_1?wait=10",
  ])
  expect(requests[0]).toMatchObject({ headers: { "idempotency-key": "key-1" }, body: REQUEST })
})

test("a redemption that is active at once needs no second request", async () => {
  const { client, requests } = await serving(() => redemption("active"))

  expect((await client.redeem(REQUEST, "key-1")).data?.state).toBe("active")
  expect(requests.length).toBe(1)
})

test("a redemption that fails is an error with the reason", async () => {
  const reason = "The code could not be made. The points are available again."
  const { client } = await startedThen(redemption("failed", { reason }))

  expect(await client.redeem(REQUEST, "key-1")).toEqual({ error: { code: "redemption_failed", message: reason } })
})

test("a redemption that stays pending is an error that says the points are safe", async () => {
  const { client, requests } = await startedThen(
    ...Array.from({ length: 3 }, () => redemption("pending", { reason: "The code is not ready yet: the shop keeps trying." })),
  )

  const { error } = await client.redeem(REQUEST, "key-1")

  expect(error?.code).toBe("redemption_pending")
  expect(error?.message).toContain("Your points are safe.")
  expect(requests.length).toBe(4)
})

test("a wait that fails is repeated, as the points are held already", async () => {
  const { client } = await startedThen(problem(503, "bridge_unavailable", "Down."), redemption("active"))

  expect((await client.redeem(REQUEST, "key-1")).data?.state).toBe("active")
})

test("the same key after a lost answer redeems once", async () => {
  const made = new Map<string, number>()
  let lost = true
  const { client } = await serving(({ method, headers }) => {
    if (method === "GET") return redemption("active")
    const key = String(headers["idempotency-key"])
    made.set(key, (made.get(key) ?? 0) + 1)
    const reply = lost ? { status: 502, json: "<h1>Bad gateway</h1>" } : redemption("pending")
    lost = false
    return reply
  })

  expect((await client.redeem(REQUEST, "key-1")).error?.code).toBe("unavailable")
  expect((await client.redeem(REQUEST, "key-1")).data?.state).toBe("active")

  expect([...made]).toEqual([["key-1", 2]])
})

test("releasing returns the redemption", async () => {
  const { client, requests } = await serving(() => redemption("released"))

  expect((await client.release("red_1")).data?.state).toBe("released")
  expect(requests[0]).toMatchObject({ method: "DELETE", url: "/store/dust/redemptions/red_1" })
})

test("actions take the cart from the shopper", async () => {
  const { client, requests } = await serving(() => redemption("active"))
  const actions = createDustActions(client, async () => "cart_of_cookie")

  await actions.quote()
  await actions.redeem({ dust: 300 }, "key-1")

  expect(requests.map(({ body }) => body)).toEqual([{ cart_id: "cart_of_cookie" }, { dust: 300, cart_id: "cart_of_cookie" }])
})

test("without a cart nothing is quoted or redeemed", async () => {
  const { client, requests } = await serving(() => redemption("active"))
  const actions = createDustActions(client, () => undefined)

  expect((await actions.quote()).error?.code).toBe("no_cart")
  expect((await actions.redeem({ pay: "dust_only" }, "key-1")).error?.code).toBe("no_cart")
  expect(requests).toEqual([])
})

test("a cart that cannot be read, such as from a storage that the browser blocks, is an error", async () => {
  const { client, requests } = await serving(() => redemption("active"))
  const actions = createDustActions(client, () => {
    throw new Error("The operation is insecure.")
  })

  expect((await actions.quote()).error).toMatchObject({ code: "unreachable", detail: "cart: The operation is insecure." })
  expect((await actions.redeem({ dust: 300 }, "key-1")).error?.code).toBe("unreachable")
  expect(await actions.releaseCart()).toBeUndefined()
  expect(requests).toEqual([])
})

test("errors by which Next.js controls a render arrive from the cart's cookie too", async () => {
  const { client } = await serving(() => redemption("active"))
  const bailout = Object.assign(new Error("Dynamic server usage"), { digest: "DYNAMIC_SERVER_USAGE" })
  const actions = createDustActions(client, () => Promise.reject(bailout))

  await expect(actions.quote()).rejects.toBe(bailout)
  await expect(actions.releaseCart()).rejects.toBe(bailout)
})
