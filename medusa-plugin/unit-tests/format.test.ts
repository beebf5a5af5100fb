import { afterEach, expect, it, vi } from "vitest"
import { amount, day, shown, signed } from "../src/admin/lib/format"

afterEach(() => vi.unstubAllGlobals())

it("shows numbers and dates in the dashboard's language, whatever the browser's is", () => {
  vi.stubGlobal("navigator", { languages: ["fr-FR"] })
  vi.stubGlobal("document", { documentElement: { lang: "de" } })
  expect([shown(1234), signed(1234), amount("1234.50"), day("2026-11-27T12:00:00Z")]).toEqual(["1.234", "+1.234", "1.234,50", "27.11.2026"])
  vi.stubGlobal("document", { documentElement: { lang: "en" } })
  expect([shown(1234), signed(-1234), amount("1234.50"), day("2026-11-27T12:00:00Z")]).toEqual(["1,234", "-1,234", "1,234.50", "Nov 27, 2026"])
})

it("keeps a sign in front of its number from right to left", () => {
  vi.stubGlobal("navigator", { languages: ["he"] })
  vi.stubGlobal("document", { documentElement: { lang: "he" } })
  expect([signed(5), signed(-5), signed(0)]).toEqual(["\u200e+5", "\u200e-5", "0"])
})

it("writes dates as the country of the user's browser does, where that has the dashboard's language", () => {
  vi.stubGlobal("navigator", { languages: ["fr-FR", "en-GB", "en-US"] })
  vi.stubGlobal("document", { documentElement: { lang: "en" } })
  expect(day("2026-11-27T12:00:00Z")).toBe("27 Nov 2026")
  vi.stubGlobal("document", { documentElement: { lang: "de" } })
  expect(day("2026-11-27T12:00:00Z")).toBe("27.11.2026")
  vi.stubGlobal("document", { documentElement: { lang: "" } })
  expect(() => day("2026-11-27T12:00:00Z")).not.toThrow()
})
