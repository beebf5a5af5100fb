import { expect, test, vi } from "vitest"
import { formatMoney, formatPoints, newIdempotencyKey } from "../src/index.js"

test.each([
  [0, "en", "0 stars"],
  [1, "en", "1 star"],
  [-1, "en", "-1 star"],
  [12345, "en", "12,345 stars"],
  [12345, "de", "12.345 stars"],
])("%i points in %s are %s", (points, locale, text) => {
  expect(formatPoints(points, { one: "star", many: "stars" }, locale)).toBe(text)
})

test("points without a name of their own are points", () => {
  expect(formatPoints(2)).toBe("2 points")
})

test.each([
  ["12.50", "eur", "en", "€12.50"],
  [12.5, "eur", "de", "12,50\u00a0€"],
  ["1200", "jpy", "en", "¥1,200"],
])("%s %s in %s is %s", (amount, currency, locale, text) => {
  expect(formatMoney(amount, currency, locale)).toBe(text)
})

test("keys are made on plain HTTP, where crypto.randomUUID is missing, and each is new", () => {
  vi.stubGlobal("crypto", { getRandomValues: crypto.getRandomValues.bind(crypto) })

  const keys = new Set(Array.from({ length: 1000 }, newIdempotencyKey))

  vi.unstubAllGlobals()
  expect(keys.size).toBe(1000)
  for (const key of keys) expect(key).toMatch(/^[0-9a-f]{32}$/)
})
