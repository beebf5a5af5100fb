import { shown, signed } from "./format"
import type { Translate } from "./texts"

/** `2026-11`, or `2026-11-22` for a day; the bridge's dates have no time zone. */
export function monthOf(date: string): string {
  return date.slice(0, 7)
}

/** A share such as `0.125` as `12.5 %`. */
export function percent(share: string): string {
  return `${shown(Math.round(Number(share) * 1000) / 10)} %`
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
