import { expect, test } from "vitest"
import { createDustClient, de } from "../src/index.js"
import { createTexts } from "../src/react/texts.js"
import { problem, startServer, type Reply } from "./server.js"

const BODIES: [string, (status: number) => Reply][] = [
  ["a page of a proxy", (status) => ({ status, json: "<h1>Nginx</h1>", type: "text/html" })],
  ["no body", (status) => ({ status, json: "" })],
  ["broken JSON", (status) => ({ status, json: '{"points": 3' })],
  ["null", (status) => ({ status, json: "null" })],
  ["Medusa's JSON", (status) => ({ status, json: { type: "unknown_error", message: "An unknown error occurred." } })],
  ["a problem for programs", (status) => problem(status, "some_code", "The body may have at most 65536 bytes.")],
  ["a problem of another shape", (status) => problem(status, "invalid_fields", "body: wrong", { errors: { field: "x" } })],
  ["a problem with null for an error", (status) => problem(status, "invalid_fields", "body: wrong", { errors: [null] })],
]
const STATUSES = [400, 404, 405, 408, 413, 422, 429, 500, 502, 503, 504]
const cases = STATUSES.flatMap((status) => BODIES.map(([name, reply]) => [status, name, reply(status)] as const))
const german = createTexts({ locale: "de-DE", timeZone: "UTC", messages: de })
const ENGLISH = /\b(the|you|your|is|not|please|body|may)\b/i

test.each(cases)("%i with %s has a sentence for shoppers in both languages", async (status, _, reply) => {
  const { url } = await startServer(() => reply)
  const client = createDustClient({ baseUrl: url, token: "jwt" })

  for (const call of [() => client.balance(), () => client.redeem({ cart_id: "cart_1", dust: 5 }, "key"), () => client.products(["a"])]) {
    const { data, error } = await call()
    expect(data).toBeUndefined()
    expect(error).toMatchObject({ status, message: expect.stringMatching(/^[A-Z].*\.$/) })
    expect(german.error(error!)).not.toMatch(ENGLISH)
  }
})

test.each([400, 405, 408, 413])("%i of Dust does not tell shoppers about the request", async (status) => {
  const { url } = await startServer(() => problem(status, "too_large", "The body may have at most 65536 bytes."))

  const { error } = await createDustClient({ baseUrl: url }).rewards()

  expect(error).toMatchObject({ code: "too_large", status, message: "Points are not available right now. Please try again in a moment." })
})

test("429 of Dust says in English how long to wait", async () => {
  const { url } = await startServer(() => problem(429, "too_many_requests", "Too many requests. Please try again in 5 seconds."))

  const { error } = await createDustClient({ baseUrl: url }).rewards()

  expect(error?.message).toBe("Too many requests. Please try again in 5 seconds.")
  expect(german.error(error!)).toBe("Bitte warten Sie einen Moment und versuchen Sie es dann noch einmal.")
})
