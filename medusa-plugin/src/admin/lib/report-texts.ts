import { shown, signed } from "./format"
import type { Translate } from "./texts"

/** `2026-11`, or `2026-11-22` for a day; the bridge's dates have no time zone. */
export function monthOf(date: string): string {
  return date.slice(0, 7)
}

const DAYS_OF_A_YEAR = 365

/** The query for the movements of the last year by month. */
export function lastYear(): Record<string, string> {
  const yearAgo = new Date(Date.now() - DAYS_OF_A_YEAR * 86_400_000).toISOString()
  return { by: "month", since: `${monthOf(yearAgo)}-01` }
}

/** A chosen day as the bridge reads it. It is the day that the merchant sees, whatever the time zone. */
export function dayOf(date: Date): string {
  const two = (part: number): string => String(part).padStart(2, "0")
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
}

/** A share such as `0.125` as `12.5 %`; `–` when there was nothing to divide by. */
export function percent(share: string | null): string {
  return share === null ? "–" : `${shown(Math.round(Number(share) * 1000) / 10)} %`
}

type Amounts = { currency_code: string; revenue: string; cost: string }

/** An amount of each month in one currency; 0 where there is none. */
export function amountsOf(months: { money: Amounts[] }[], code: string, name: "revenue" | "cost"): number[] {
  return months.map(({ money }) => Number(money.find(({ currency_code }) => currency_code === code)?.[name] ?? 0))
}

/** Points that came into all balances in a period, and points that went out as a positive number. */
export function inAndOut({ moved }: { moved: Record<string, number> }): { cameIn: number; wentOut: number } {
  const values = Object.values(moved)
  return {
    cameIn: values.filter((points) => points > 0).reduce((sum, points) => sum + points, 0),
    wentOut: values.filter((points) => points < 0).reduce((sum, points) => sum - points, 0),
  }
}

/** The kinds that moved points in any of these periods, in the order in which they first appear. */
export function kindsOf(periods: { moved: Record<string, number> }[]): string[] {
  return [...new Set(periods.flatMap(({ moved }) => Object.keys(moved).filter((kind) => moved[kind])))]
}

export function movedBy(kind: string): (period: { moved: Record<string, number> }) => string {
  return ({ moved }) => (moved[kind] ? signed(moved[kind]) : "–")
}

/** The name of a kind of transaction. */
export function kindName(kind: string, t: Translate): string {
  return t(`kinds.${kind}`)
}
