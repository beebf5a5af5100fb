import { createInstance } from "i18next"
import { afterEach, expect, it, vi } from "vitest"
import { counted, useTexts } from "../src/admin/lib/texts"
import { de } from "../src/admin/i18n/de"
import { en } from "../src/admin/i18n/en"

const i18n = createInstance({ lng: "de", resources: { de: { dust: de } }, ns: "dust", initImmediate: false })
void i18n.init()
vi.mock("react-i18next", () => ({ useTranslation: () => ({ t: i18n.getFixedT("de", "dust") }) }))
afterEach(() => vi.unstubAllGlobals())

it("a count chooses the plural, and is written as other numbers are", () => {
  vi.stubGlobal("document", { documentElement: { lang: "de" } })
  const t = useTexts()
  expect(t("events.retried", { count: 12345 })).toBe("12.345 Ereignisse werden erneut verarbeitet.")
  expect(t("events.retried", { count: 1 })).toBe("Ein Ereignis wird erneut verarbeitet.")
  expect(t("bonus.given", { points: "<b>", count: 2 })).toBe("2 Mitgliedern je <b> gegeben")
  expect(t("order.maturesAt", { pending: "5", date: "heute" })).toBe("5 ausstehend bis heute")
  expect(t("rules.field.nothing.hint", { defaultValue: "" })).toBe("")
})

it("one point is not called points", () => {
  const t = useTexts()
  expect(t("claim.submit", counted(1, t))).toBe("1 Punkt zuordnen")
  expect(t("claim.submit", counted(0, t))).toBe("0 Punkte zuordnen")
  expect(t("rules.example.worth", { ...counted(1, t), value: "0,01 EUR" })).toBe("1 Punkt ist 0,01 EUR wert.")
  expect(t("account.adjusted", { count: -1, amount: "-1", balance: "0" })).toBe("-1 Punkt, der Kontostand ist 0")
  expect(t("bonus.given", { ...counted(1, t), count: 1 })).toBe("1 Punkt gegeben")
})

/** All texts of a catalogue, by their keys. */
function texts(catalogue: object, at = ""): [string, string][] {
  return Object.entries(catalogue).flatMap(([key, value]) =>
    typeof value === "string" ? [[`${at}${key}`, value] as [string, string]] : texts(value as object, `${at}${key}.`),
  )
}

it("no text puts a number before the word for points, unless it is the plural's", () => {
  for (const catalogue of [en, de]) {
    const found = texts(catalogue).filter(([key, text]) => /{{\w+}} (points|Punkten?)\b/.test(text) && !key.endsWith("_other"))
    expect(found).toEqual([])
  }
})
