import { createInstance } from "i18next"
import { afterEach, expect, it, vi } from "vitest"
import { useTexts } from "../src/admin/lib/texts"
import { de } from "../src/admin/i18n/de"

const i18n = createInstance({ lng: "de", resources: { de: { dust: de } }, ns: "dust", initImmediate: false })
void i18n.init()
vi.mock("react-i18next", () => ({ useTranslation: () => ({ t: i18n.getFixedT("de", "dust") }) }))
afterEach(() => vi.unstubAllGlobals())

it("a count chooses the plural, and is written as other numbers are", () => {
  vi.stubGlobal("document", { documentElement: { lang: "de" } })
  const t = useTexts()
  expect(t("events.retried", { count: 12345 })).toBe("12.345 Ereignisse werden erneut verarbeitet.")
  expect(t("events.retried", { count: 1 })).toBe("Ein Ereignis wird erneut verarbeitet.")
  expect(t("bonus.given", { points: "<b>", count: 2 })).toBe("2 Mitgliedern je <b> Punkte gegeben")
  expect(t("order.maturesAt", { pending: "5", date: "heute" })).toBe("5 ausstehend bis heute")
  expect(t("rules.field.nothing.hint", { defaultValue: "" })).toBe("")
})
