import type { DustMember } from "../../types"

/** The balances to filter by, in points with both ends. */
export const BALANCES: Record<string, { min?: number; max?: number }> = {
  negative: { max: -1 },
  zero: { min: 0, max: 0 },
  low: { min: 1, max: 999 },
  middle: { min: 1_000, max: 9_999 },
  high: { min: 10_000 },
}

/** The last activities to filter by: in the last days, or not since. */
export const ACTIVITIES: Record<string, { within?: number; before?: number }> = {
  within30: { within: 30 },
  within90: { within: 90 },
  before90: { before: 90 },
  before365: { before: 365 },
}

export type MembersQuery = {
  search: string
  tier?: string
  balance?: string
  activity?: string
  sort: { id: string; desc: boolean } | null
}

/** The path of the list of members with this search, filters and sorting. */
export function membersPath({ search, tier, balance = "", activity = "", sort }: MembersQuery, now = new Date()): string {
  const { min, max } = BALANCES[balance] ?? {}
  const { within, before } = ACTIVITIES[activity] ?? {}
  const query = new URLSearchParams()
  if (search.trim()) query.set("q", search.trim())
  if (tier) query.set("tier", tier)
  if (min !== undefined) query.set("min_balance", String(min))
  if (max !== undefined) query.set("max_balance", String(max))
  if (within) query.set("active_since", dayBefore(now, within))
  if (before) query.set("active_until", dayBefore(now, before))
  if (sort) query.set("sort", `${sort.desc ? "-" : ""}${sort.id}`)
  const text = query.toString()
  return text ? `/customers?${text}` : "/customers"
}

/** The beginning of a day. The same all day long, so that the list is not read again at each render. */
function dayBefore(now: Date, days: number): string {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() - days).toISOString()
}

export type MemberRow = DustMember & { name: string; email: string | null }
