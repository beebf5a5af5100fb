import { redirect } from "next/navigation"
import { expect, test, vi } from "vitest"
import { GUARD_SENTENCES } from "../src/guard-sentences.js"
import { de, type Programme } from "../src/index.js"
import { createDustServer, placeOrder } from "../src/next.js"
import { QUOTE, REDEMPTION } from "./samples.js"
import { redemption, startServer } from "./server.js"

test("the server's calls have the token and the cart of the request", async () => {
  const { url, requests } = await startServer(() => ({ json: QUOTE }))
  const dust = createDustServer({ baseUrl: url, publishableKey: "pk_1", getToken: async () => "t", getCartId: async () => "cart_1" })

  expect((await dust.quote()).data).toEqual(QUOTE)
  expect(requests[0]).toMatchObject({
    headers: { authorization: "Bearer t", "x-publishable-api-key": "pk_1" },
    body: { cart_id: "cart_1" },
  })
})

test("public reads are cached for a minute, and what belongs to a customer is not", async () => {
  const sent: Record<string, unknown>[] = []
  vi.stubGlobal("fetch", async (request: unknown) => {
    sent.push(request as Record<string, unknown>)
    return Response.json({ products: {}, rewards: [] })
  })
  const dust = createDustServer({ baseUrl: "http://dust.test", getToken: () => "t", getCartId: () => "cart_1" })

  for (const read of [dust.programme, dust.rewards, () => dust.products(["prod_1"])]) await read()
  for (const read of [dust.balance, dust.quote, dust.referral, dust.redemptions]) await read()
  await dust.forecast("eur", [{ product_id: "prod_1", amount: 1 }])

  vi.unstubAllGlobals()
  const kept = sent.map(({ url, next, cache }) => [
    new URL(String(url)).pathname.split("/")[3],
    (next as { revalidate?: number } | undefined)?.revalidate ?? cache,
  ])
  expect(kept).toEqual([
    ["programme", 60],
    ["rewards", 60],
    ["products", 60],
    ["balance", "no-store"],
    ["quote", "no-store"],
    ["referral", "no-store"],
    ["redemptions", "no-store"],
    ["forecast", "no-store"],
  ])
})

test("what the cart uses is released, and nothing without a cart", async () => {
  const { url, requests } = await startServer(({ method, url: path }) =>
    method === "GET"
      ? { json: { redemptions: [{ ...REDEMPTION, id: path.endsWith("active") ? "dred_1" : "dred_2" }], next_cursor: null } }
      : redemption("released"),
  )
  let cartId: string | undefined = "cart_1"
  const dust = createDustServer({ baseUrl: url, getToken: () => "t", getCartId: () => cartId })

  await dust.releaseCart()
  expect(requests.map(({ method, url }) => `${method} ${url}`).sort()).toEqual([
    "DELETE /store/dust/redemptions/dred_1",
    "DELETE /store/dust/redemptions/dred_2",
    "GET /store/dust/redemptions?cart_id=cart_1&state=active",
    "GET /store/dust/redemptions?cart_id=cart_1&state=pending",
  ])
  cartId = undefined
  await dust.releaseCart()
  expect(requests).toHaveLength(4)
})

test("an error of Next.js while the token is read arrives", async () => {
  const bailout = Object.assign(new Error("cookies"), { digest: "DYNAMIC_SERVER_USAGE" })
  const dust = createDustServer({ baseUrl: "http://dust.test", getToken: () => Promise.reject(bailout), getCartId: () => "cart_1" })

  await expect(dust.balance()).rejects.toBe(bailout)
})

test("an order that is placed is returned", async () => {
  expect(await placeOrder(async () => ({ type: "order", order: { id: "order_1" } }))).toEqual({ order: { id: "order_1" } })
})

/** What Medusa's JS SDK makes of the guard's answer: nothing else of it is left. */
const refusing = (message: string) => () => Promise.reject(Object.assign(new Error(message), { status: 400, statusText: "Bad Request" }))
const named = (one: string, many: string) => async () => ({ data: { name: { one, many } } as Programme })

test("the checkout guard's sentence is returned", async () => {
  const message = "“Mug” can only be bought with points. Please redeem points for it first."

  expect(await placeOrder(refusing(message))).toEqual({ error: message })
})

test.each([
  [
    "“Mug” can only be bought with points. Please redeem points for it first.",
    "„Mug“ ist nur gegen Sterne erhältlich. Bitte lösen Sie zuerst Sterne dafür ein.",
    "“Mug” can only be bought with stars. Please redeem stars for it first.",
  ],
  [
    "Only 1 of 2 × “Mug” are paid with points. Please redeem points for the rest.",
    "Nur 1 von 2 × „Mug“ sind gegen Sterne bezahlt. Bitte lösen Sie Sterne für den Rest ein.",
    "Only 1 of 2 × “Mug” are paid with stars. Please redeem stars for the rest.",
  ],
  [
    "The code DUST-ABC has expired. Please remove it from the cart, and redeem points again.",
    "Der Code DUST-ABC ist abgelaufen. Bitte entfernen Sie ihn aus dem Warenkorb, und lösen Sie noch einmal Sterne ein.",
    "The code DUST-ABC has expired. Please remove it from the cart, and redeem stars again.",
  ],
])("%s is returned in the shop's language, with its word for points", async (sentence, german, english) => {
  const inGerman = { messages: de, programme: named("Stern", "Sterne") }

  expect(await placeOrder(refusing(sentence), inGerman)).toEqual({ error: german })
  expect(await placeOrder(refusing(sentence), { programme: named("star", "stars") })).toEqual({ error: english })
})

test.each(Object.entries(GUARD_SENTENCES))("German has the guard's sentence %s, with what it is about", (code, english) => {
  const german = de.errors[code] ?? ""
  const placesOf = (text: string) => [...text.matchAll(/\{(code|title)\}/g)].map(([place]) => place).sort()

  expect(german).not.toBe("")
  expect(placesOf(german)).toEqual(placesOf(english))
})

test("a product may have any name", async () => {
  const sentence = "“{many} “points” (50 %)” can only be bought with points. Please redeem points for it first."

  expect(await placeOrder(refusing(sentence), { programme: named("star", "stars") })).toEqual({
    error: "“{many} “points” (50 %)” can only be bought with stars. Please redeem stars for it first.",
  })
})

test("the sentence of another check of the shop is returned as it is", async () => {
  const message = "Please collect 50 points at the counter first."

  expect(await placeOrder(refusing(message), { messages: de, programme: named("star", "stars") })).toEqual({ error: message })
})

test("the guard's sentence does not need Dust", async () => {
  const programme = async () => ({ error: { code: "timeout", message: "" } })

  expect(await placeOrder(refusing("“Mug” can only be bought with points. Please redeem points for it first."), { messages: de, programme })).toEqual({
    error: "„Mug“ ist nur gegen Punkte erhältlich. Bitte lösen Sie zuerst Punkte dafür ein.",
  })
})

test("a refusal of another kind is returned as it is", async () => {
  const cart = { type: "cart", cart: {}, error: { message: "Not today.", type: "custom" } } as const

  expect(await placeOrder(async () => cart, { messages: de })).toEqual({ error: "Not today." })
})

test.each([
  ["payment_authorization_error", "The payment was declined. Please try again, or pay in another way.", "Die Zahlung wurde abgelehnt."],
  ["payment_requires_more_error", "The payment needs one more step. Please go back to the payment and confirm it.", "Die Zahlung ist noch nicht bestätigt."],
])("a payment with %s gets a sentence for shoppers, with Medusa's as the detail", async (type, english, german) => {
  const cart = { type: "cart", cart: {}, error: { message: "Payment authorization failed", type } } as const

  expect(await placeOrder(async () => cart)).toEqual({ error: english, detail: "Payment authorization failed" })
  expect((await placeOrder(async () => cart, { messages: de })).error).toContain(german)
})

test.each([
  ["Some variant does not have the required inventory", "Ein Artikel ist nicht mehr in dieser Menge da."],
  ["Payment sessions are required to complete cart", "Bitte wählen Sie zuerst, wie Sie bezahlen."],
  ["Payment collection has not been initiated for cart", "Bitte wählen Sie zuerst, wie Sie bezahlen."],
  ["No shipping method selected but the cart contains items that require shipping.", "Bitte wählen Sie zuerst den Versand."],
])("Medusa's “%s” is in the shop's language", async (sentence, german) => {
  const { error, detail } = (await placeOrder(refusing(sentence), { messages: de })) as { error: string; detail?: string }

  expect(error).toContain(german)
  expect(detail).toBe(sentence)
  const { error: english } = await placeOrder(refusing(sentence))
  expect(english).toMatch(/^[A-Z].*Please|^Please/)
})

test.each([
  ["a lost connection", new TypeError("fetch failed")],
  ["an error of Medusa", Object.assign(new Error("An unknown error occurred."), { status: 500 })],
  ["a cart that is gone", Object.assign(new Error("Cart with id: cart_1 was not found"), { status: 404 })],
])("%s gets a sentence for shoppers", async (_, failure) => {
  expect(await placeOrder(() => Promise.reject(failure))).toEqual({
    error: "Your order could not be placed right now. Please try again in a moment.",
  })
})

test("the sentence of a failure is in the shop's language, or the shop's own", async () => {
  const failure = () => Promise.reject(new TypeError("fetch failed"))
  const own = { errors: { order_not_placed: "Bitte noch einmal." } }

  expect(await placeOrder(failure, { messages: de })).toEqual({
    error: "Die Bestellung hat gerade nicht geklappt. Bitte versuchen Sie es gleich noch einmal.",
  })
  expect(await placeOrder(failure, { messages: own })).toEqual({ error: "Bitte noch einmal." })
})

test("a redirect after the order goes through", async () => {
  await expect(placeOrder(async () => redirect("/order/confirmed"))).rejects.toMatchObject({
    digest: expect.stringContaining("NEXT_REDIRECT"),
  })
})
