import { expect, test } from "vitest"
import { createTexts } from "../../src/react/texts.js"

const texts = createTexts({ locale: "en", timeZone: "UTC", name: { one: "star", many: "stars" } })

test.each([
  ["You need 5,000 points and have 900.", "You need 5,000 stars and have 900."],
  ["You need 1 point and have 0.", "You need 1 star and have 0."],
  ["Points pay for this order already.", "Stars pay for this order already."],
])("the API's sentence %s has the shop's word", (message, shown) => {
  expect(texts.error({ code: "any", message })).toBe(shown)
})
