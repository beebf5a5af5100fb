import { readFileSync } from "node:fs"
import { expect, test, vi } from "vitest"
import { createDustClient, type DustClientConfig } from "../src/index.js"
import { BALANCE, GUEST_QUOTE, QUOTE } from "./samples.js"
import { problem, startServer, type Received, type Reply } from "./server.js"

const TOKEN = "eyJ.secret.token"

async function serving(answer: (request: Received) => Reply | undefined, config: Partial<DustClientConfig> = {}) {
  const server = await startServer(answer)
  const client = createDustClient({ baseUrl: server.url, publishableKey: "pk_1", token: TOKEN, ...config })
  return { ...server, client }
}

test("a customer's balance is read with the customer's token and the publishable key", async () => {
  const { client, requests } = await serving(() => ({ json: BALANCE }))

  expect(await client.balance()).toEqual({ data: BALANCE })
  expect(requests[0]).toMatchObject({
    method: "GET",
    url: "/store/dust/balance",
    headers: { authorization: `Bearer ${TOKEN}`, "x-publishable-api-key": "pk_1" },
  })
})

test("several orders are read with one request, and none without one", async () => {
  const { client, requests } = await serving(() => ({ json: { orders: [] } }))

  expect(await client.orders([])).toEqual({ data: [] })
  expect(await client.orders(["order_1", "order_2"])).toEqual({ data: [] })
  expect(requests.map(({ url }) => url)).toEqual(["/store/dust/orders?order_id=order_1&order_id=order_2"])
})

test("the token may come from a function, which is called for each request", async () => {
  const tokens = ["first", "second"]
  const { client, requests } = await serving(() => ({ json: BALANCE }), { token: async () => tokens.shift() })

  await client.balance()
  await client.balance()

  expect(requests.map(({ headers }) => headers.authorization)).toEqual(["Bearer first", "Bearer second"])
})

test("a token that cannot be read is an error", async () => {
  const { client } = await serving(() => ({ json: BALANCE }), { token: () => Promise.reject(new Error("no cookies here")) })

  expect((await client.balance()).error).toMatchObject({ code: "unreachable", detail: "GET /store/dust/balance: no cookies here" })
})

test("a token that is refused without a reason is an error", async () => {
  const { client } = await serving(() => ({ json: BALANCE }), { token: () => Promise.reject() })

  expect((await client.balance()).error?.code).toBe("unreachable")
})

test("a guest has no balance, and no request is sent", async () => {
  const { client, requests } = await serving(() => ({ json: BALANCE }), { token: undefined })

  const { error } = await client.balance()

  expect(error).toEqual({ code: "not_authenticated", message: "Please sign in to see and use your points." })
  expect(requests).toEqual([])
})

test("with Medusa's session cookie the request is sent without a token", async () => {
  const { client, requests } = await serving(() => ({ json: BALANCE }), { token: undefined, credentials: "include" })

  expect((await client.balance()).data).toEqual(BALANCE)
  expect(requests[0]?.headers.authorization).toBeUndefined()
})

test("the sentence of a problem is the message, with its code and what can be spent", async () => {
  const message = "You need 5,000 points and have 900."
  const { client } = await serving(() => problem(409, "insufficient_dust", message, { available: 900 }))

  const { error } = await client.redeem({ cart_id: "cart_1", dust: 5000 }, "key")

  expect(error).toMatchObject({ code: "insufficient_dust", message, status: 409, available: 900 })
})

test("the detail of a problem is the message directly from Dust, which has no other", async () => {
  const { client } = await serving(() => ({
    status: 429,
    json: { type: "about:blank", title: "Too many requests", status: 429, code: "too_many_requests", detail: "Please wait 5 seconds." },
    type: "application/problem+json",
  }))

  expect((await client.rewards()).error).toMatchObject({ code: "too_many_requests", message: "Please wait 5 seconds." })
})

test("messages about fields are shown only if they are sentences", async () => {
  const sentence = "Please enter a whole number of points, 1 or more."
  const answers = [
    problem(422, "invalid_fields", sentence, { errors: [{ field: "dust", message: sentence }] }),
    problem(422, "invalid_fields", "cart_id: String should match pattern", {
      errors: [{ field: "cart_id", message: "String should match pattern" }],
    }),
  ]
  const { client } = await serving(() => answers.shift())

  expect((await client.redeem({ cart_id: "cart_1", dust: -5 }, "a")).error?.message).toBe(sentence)
  expect((await client.redeem({ cart_id: "../..", dust: 5 }, "b")).error?.message).toBe(
    "Something you entered is not valid. Please check it and try again.",
  )
})

test.each([
  ["of Dust", problem(503, "bridge_unavailable", "Dust does not answer right now."), "bridge_unavailable"],
  ["of a proxy", { status: 502, json: "<h1>Bad gateway</h1>", type: "text/html" }, "unavailable"],
  ["of Medusa", { status: 400, json: { type: "not_allowed", message: "Publishable API key required" } }, "unavailable"],
])("an error %s that was not written for shoppers gets a sentence for them", async (_, reply, code) => {
  const { client } = await serving(() => reply)

  const { error } = await client.balance()

  expect(error).toMatchObject({ code, message: "Points are not available right now. Please try again in a moment." })
  expect(error?.detail).toContain(`GET /store/dust/balance: ${reply.status}`)
})

test("a success that is no JSON is an error", async () => {
  const { client } = await serving(() => ({ json: "<h1>Sign in to the hotel's Wi-Fi</h1>", type: "text/html" }))

  expect((await client.balance()).error?.code).toBe("unavailable")
})

test("a session that is over asks the shopper to sign in", async () => {
  const { client } = await serving(() => problem(401, "not_authenticated", "The token is not valid, or no longer."))

  const { error } = await client.balance()

  expect(error).toMatchObject({ code: "not_authenticated", status: 401, message: "Please sign in to see and use your points." })
})

test("a read from a server that hangs ends after its time-out", async () => {
  const { client } = await serving(() => undefined, { timeoutMs: 100 })

  const start = performance.now()
  const { error } = await client.balance()

  expect(error?.code).toBe("timeout")
  expect(performance.now() - start).toBeLessThan(5000)
})

test("the time-out of a read is 1.5 seconds if none is given", async () => {
  const { client } = await serving(() => undefined)
  const start = performance.now()

  await client.quote("cart_1")

  expect(performance.now() - start).toBeGreaterThan(1400)
  expect(performance.now() - start).toBeLessThan(5000)
})

test("a server that refuses the connection is an error with a sentence", async () => {
  const { client, stop } = await serving(() => ({ json: BALANCE }))
  stop()

  const { error } = await client.balance()

  expect(error).toMatchObject({ code: "unreachable", detail: "GET /store/dust/balance: ECONNREFUSED" })
  expect(error?.message).toContain("Points are not available right now.")
})

test("errors of Next.js that control a render arrive", async () => {
  const bailout = Object.assign(new Error("Dynamic server usage"), { digest: "DYNAMIC_SERVER_USAGE" })
  const { client } = await serving(() => undefined, { fetch: () => Promise.reject(bailout) })

  await expect(client.balance()).rejects.toBe(bailout)
})

test("no token is in a result or a log", async () => {
  const logs = (["log", "info", "warn", "error", "debug"] as const).map((level) => vi.spyOn(console, level))
  const { client, stop } = await serving(() => problem(503, "unavailable", "Down."))

  const results = [await client.balance(), await client.forecast("eur", [{ product_id: "prod_1", amount: 1 }])]
  stop()
  results.push(await client.balance())

  expect(JSON.stringify(results)).not.toContain("secret")
  for (const log of logs) expect(log).not.toHaveBeenCalled()
})

test("a token that is no valid header is in no result", async () => {
  const { client } = await serving(() => ({ json: BALANCE }), { token: "first\nsecret" })

  const { error } = await client.balance()

  expect(error?.code).toBe("unreachable")
  expect(JSON.stringify(error)).not.toMatch(/first|secret/)
})

test("points prices of many products are read with 100 ids a request, each id once", async () => {
  const { client, requests } = await serving(({ url }) => {
    const ids = new URL(url, "http://x").searchParams.getAll("product_id")
    return { json: { products: Object.fromEntries(ids.map((id) => [id, { dust_only: false, dust_price: 5 }])) } }
  })
  const ids = Array.from({ length: 150 }, (_, number) => `prod_${number}`)

  const { data } = await client.products([...ids, ...ids])

  expect(Object.keys(data ?? {}).sort()).toEqual([...ids].sort())
  expect(requests.length).toBe(2)
  expect(requests[0]?.headers.authorization).toBeUndefined()
})

test("no products need no request", async () => {
  const { client, requests } = await serving(() => ({ json: {} }))

  expect(await client.products([])).toEqual({ data: {} })
  expect(requests).toEqual([])
})

test("a customer gets a customer's quote", async () => {
  const { client, requests } = await serving(() => ({ json: QUOTE }))

  expect(await client.quote("cart_1")).toEqual({ data: QUOTE })
  expect(requests[0]).toMatchObject({ method: "POST", url: "/store/dust/quote", body: { cart_id: "cart_1" } })
})

test("a guest gets a guest's quote", async () => {
  const { client, requests } = await serving(() => ({ json: GUEST_QUOTE }), { token: () => undefined })

  expect(await client.quote("cart_1")).toEqual({ data: GUEST_QUOTE })
  expect(requests.map(({ url }) => url)).toEqual(["/store/dust/quote/guest"])
})

test("a guest gets a guest's quote if only Medusa knows the session", async () => {
  const { client, requests } = await serving(
    ({ url }) => (url.endsWith("/guest") ? { json: GUEST_QUOTE } : problem(401, "not_authenticated", "Please sign in.")),
    { token: undefined, credentials: "include" },
  )

  expect((await client.quote("cart_1")).data).toEqual(GUEST_QUOTE)
  expect(requests.length).toBe(2)
})

test("a customer whose session is over gets no guest's quote", async () => {
  const { client, requests } = await serving(() => problem(401, "not_authenticated", "The token is over."))

  expect((await client.quote("cart_1")).error?.code).toBe("not_authenticated")
  expect(requests.length).toBe(1)
})

test("a forecast counts the customer's tier, and everybody's once the session is over", async () => {
  const { client, requests } = await serving(({ headers }) =>
    headers.authorization ? problem(401, "not_authenticated", "The token is over.") : { json: { items: [], total: 20 } },
  )

  const { data } = await client.forecast("eur", [{ product_id: "prod_1", amount: "10.00" }])

  expect(data?.total).toBe(20)
  expect(requests.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${TOKEN}`, undefined])
  expect(requests[0]?.body).toEqual({
    currency_code: "eur",
    items: [{ product_id: "prod_1", amount: "10.00", quantity: 1 }],
  })
})

test("lists are filtered and paged", async () => {
  const { client, requests } = await serving(() => ({ json: { redemptions: [], transactions: [], next_cursor: null } }))

  await client.redemptions({ cart_id: "cart_1", state: "active" })
  await client.transactions({ cursor: "abc", limit: 5 })
  await client.transactions()

  expect(requests.map(({ url }) => url)).toEqual([
    "/store/dust/redemptions?cart_id=cart_1&state=active",
    "/store/dust/transactions?cursor=abc&limit=5",
    "/store/dust/transactions",
  ])
})

test("ids cannot change the path of a request", async () => {
  const { client, requests } = await serving(() => problem(404, "not_found", "There is no such order."))

  await client.order("../admin?x=1")

  expect(requests[0]?.url).toBe("/store/dust/orders/..%2Fadmin%3Fx%3D1")
})

test("the client has every call of the Store API", async () => {
  const { paths } = JSON.parse(readFileSync("../openapi.json", "utf8")) as { paths: Record<string, object> }
  const offered = Object.entries(paths)
    .filter(([path]) => path.startsWith("/store/"))
    .flatMap(([path, operations]) => Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`))
  const { client, requests, url } = await serving(() => ({ json: { redemption: { state: "active" }, products: {} } }))
  const guest = createDustClient({ baseUrl: url })

  await client.programme()
  await client.products(["prod_1"])
  await client.rewards()
  await client.forecast("eur", [])
  await client.balance()
  await client.points()
  await client.transactions()
  await client.order("{order_id}")
  await client.orders(["order_1"])
  await client.quote("cart_1")
  await guest.quote("cart_1")
  await client.redeem({ cart_id: "cart_1", dust: 1 }, "key")
  await client.redemption("{redemption_id}")
  await client.redemptions()
  await client.release("{redemption_id}")
  await client.referral()
  await client.useReferral("ABC")

  const called = requests.map(({ method, url }) => `${method} ${decodeURIComponent(url).split("?")[0]}`)
  expect(called.sort()).toEqual(offered.sort())
})
