import type { PointsName } from "./types.js"

const POINTS: PointsName = { one: "point", many: "points" }

/** `formatPoints(1200, programme.name)` is "1,200 points", with the shop's own word. */
export function formatPoints(points: number, name: PointsName = POINTS, locale = "en"): string {
  const word = new Intl.PluralRules(locale).select(Math.abs(points)) === "one" ? name.one : name.many
  return `${new Intl.NumberFormat(locale).format(points)} ${word}`
}

/** `formatMoney("12.50", "eur")` is "€12.50". The amount is in major units, as everywhere in Dust. */
export function formatMoney(amount: number | string, currencyCode: string, locale = "en"): string {
  return new Intl.NumberFormat(locale, { style: "currency", currency: currencyCode }).format(Number(amount))
}
