import type { PointsName } from "./types.js"

const POINTS: PointsName = { one: "point", many: "points" }

/** The BCP 47 tag of a language: `de-DE`, also for `de_DE`. English for what is none. */
export function localeOf(tag: string): string {
  try {
    return Intl.getCanonicalLocales(tag.replace(/_/g, "-"))[0] ?? "en"
  } catch {
    return "en"
  }
}

/** `formatPoints(1200, programme.name)` is "1,200 points", with the shop's own word. */
export function formatPoints(points: number, name: PointsName = POINTS, locale = "en"): string {
  const language = localeOf(locale)
  const word = new Intl.PluralRules(language).select(Math.abs(points)) === "one" ? name.one : name.many
  return `${new Intl.NumberFormat(language).format(points)} ${word}`
}

/** `formatMoney("12.50", "eur")` is "€12.50". The amount is in major units, as everywhere in Dust. */
export function formatMoney(amount: number | string, currencyCode: string, locale = "en"): string {
  return new Intl.NumberFormat(localeOf(locale), { style: "currency", currency: currencyCode }).format(Number(amount))
}
