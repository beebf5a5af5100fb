import type { DustMember } from "../../types"

export type MembersQuery = {
  search: string
  tier?: string
  negative: boolean
  sort: { id: string; desc: boolean } | null
}

/** The path of the list of members with this search, filters and sorting. */
export function membersPath({ search, tier, negative, sort }: MembersQuery): string {
  const query = new URLSearchParams()
  if (search.trim()) query.set("q", search.trim())
  if (tier) query.set("tier", tier)
  if (negative) query.set("negative", "true")
  if (sort) query.set("sort", `${sort.desc ? "-" : ""}${sort.id}`)
  const text = query.toString()
  return text ? `/customers?${text}` : "/customers"
}

export type MemberRow = DustMember & { name: string; email: string | null }
