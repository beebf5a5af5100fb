import { expect, test } from "vitest"
import { de, en, type Messages } from "../../src/index.js"
import { createTexts } from "../../src/react/texts.js"

const texts = createTexts({ locale: "en", timeZone: "UTC", name: { one: "star", many: "stars" } })

test.each([
  ["You need 5,000 points and have 900.", "You need 5,000 stars and have 900."],
  ["You need 1 point and have 0.", "You need 1 star and have 0."],
  ["Points pay for this order already.", "Stars pay for this order already."],
])("the API's sentence %s has the shop's word", (message, shown) => {
  expect(texts.error({ code: "any", message })).toBe(shown)
})

test.each(["e", "x-", "de_DE", "xx", "", "en-US-u-nu-nonsense", "*", "zz-ZZ"])("the locale %j breaks no page", (locale) => {
  const given = createTexts({ locale, timeZone: "UTC", currency: "eur" })

  expect([given.points(1200), given.money("5.00"), given.date("2026-11-25T12:00:00Z"), given.days(3)].join()).toContain("2026")
  expect(given.t("panelTitle")).toBe("Pay with points")
})

test("a locale with an underscore is a language", () => {
  expect(createTexts({ locale: "de_DE", timeZone: "UTC" }).number(1200)).toBe("1.200")
})

test("what a shop's catalogue does not have is English, also in its tables", () => {
  const messages = { removed: undefined, errors: { order_not_placed: "Rien." }, kinds: { earn: "Gagné" } } as Partial<Messages>
  const given = createTexts({ locale: "fr", timeZone: "UTC", messages, name: { one: "étoile", many: "étoiles" } })

  expect(given.t("removed")).toBe("Removed. Your étoiles are available again.")
  expect(given.error({ code: "order_not_placed", message: "" })).toBe("Rien.")
  expect(given.error({ code: "unreachable", message: "" })).toContain("That did not work.")
  expect(given.sentences.kinds).toMatchObject({ earn: "Gagné", redeem: "Used" })
  expect(given.rule("rate")).toBe("Basic rate")
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
