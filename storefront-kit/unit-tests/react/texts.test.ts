import { expect, test } from "vitest"
import { de, en } from "../../src/index.js"
import { createTexts } from "../../src/react/texts.js"

const texts = createTexts({ locale: "en", timeZone: "UTC", name: { one: "star", many: "stars" } })

test.each([
  ["You need 5,000 points and have 900.", "You need 5,000 stars and have 900."],
  ["You need 1 point and have 0.", "You need 1 star and have 0."],
  ["Points pay for this order already.", "Stars pay for this order already."],
])("the API's sentence %s has the shop's word", (message, shown) => {
  expect(texts.error({ code: "any", message })).toBe(shown)
})

test("German needs no other form of the shop's word", () => {
  const dative = /\b(mit|von|zu|bei|nach|aus) \{(many|points)\}/

  expect(flat(de).filter((sentence) => dative.test(sentence))).toEqual([])
})

test.each([["English", en], ["German", de]])("every %s sentence is right for one point too", (_, messages) => {
  const plural = /\{(points|missing|available|amount)\} (are|were|have|come|sind|wurden|werden|haben|kommen|gehen)\b/

  expect(flat(messages).filter((sentence) => plural.test(sentence))).toEqual([])
})

function flat(messages: object): string[] {
  return Object.values(messages).flatMap((each: string | object) => (typeof each === "string" ? each : flat(each)))
}
