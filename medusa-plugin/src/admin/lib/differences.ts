import type { Json } from "./document"

export type Difference = { field: string; theirs: string; mine: string }

const READ_ONLY = ["version", "author", "created_at"]

/** The fields that differ between two documents, each with both values in short. */
export function differences(theirs: Json, mine: Json): Difference[] {
  const [left, right] = [leaves(theirs), leaves(mine)]
  const fields = [...new Set([...left.keys(), ...right.keys()])].filter((field) => !READ_ONLY.includes(field))
  return fields
    .map((field) => ({ field, theirs: left.get(field) ?? "–", mine: right.get(field) ?? "–" }))
    .filter((each) => each.theirs !== each.mine)
}

/** The values of a document by the names of their fields, as the bridge names them: `earn.rates.eur`. */
function leaves(document: Json, field = ""): Map<string, string> {
  if (document === null || typeof document !== "object") return new Map([[field, document === null ? "–" : String(document)]])
  const inner = Object.entries(document).map(([key, value]) => [...leaves(value, field ? `${field}.${key}` : key)])
  return new Map(inner.flat())
}
