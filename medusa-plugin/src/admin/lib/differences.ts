import type { Json } from "./document"

const READ_ONLY = ["version", "author", "created_at"]

/** A step to a value: a field, or an entry of a list by its name. */
export type Step = { field: string } | { entry: string }
/** A value that differs. `undefined`: it is not there. */
export type Change = { steps: Step[]; before: Json | undefined; after: Json | undefined }
type Fields = { [key: string]: Json }

/** What differs between two versions of the rules. The entries of a list are compared by their id or name. */
export function changes(before: Json | undefined, after: Json | undefined, steps: Step[] = []): Change[] {
  if (isFields(before) && isFields(after)) {
    const fields = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    return fields
      .filter((field) => steps.length > 0 || !READ_ONLY.includes(field))
      .flatMap((field) => changes(before[field], after[field], [...steps, { field }]))
  }
  const [left, right] = [entriesOf(before), entriesOf(after)]
  if (left && right) {
    return [...new Set([...left.keys(), ...right.keys()])].flatMap((key) =>
      changes(left.get(key), right.get(key), [...steps, { entry: entryName(right.get(key) ?? left.get(key), key) }]),
    )
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ steps, before, after }]
}

/** What identifies an entry: rewards have an id, multipliers and tiers a name, fixed points their product. */
const KEYS = ["id", "name", "product_id"]

/** The entries of a list by what identifies them; `undefined` if it is no such list. */
function entriesOf(list: Json | undefined): Map<string, Json> | undefined {
  if (!Array.isArray(list)) return undefined
  const key = KEYS.find((name) => list.every((entry) => isFields(entry) && typeof entry[name] === "string"))
  const entries = new Map(list.map((entry) => [String((entry as Fields)[key ?? ""]), entry]))
  return key && entries.size === list.length ? entries : undefined
}

function entryName(entry: Json | undefined, key: string): string {
  return isFields(entry) && typeof entry.name === "string" ? entry.name : key
}

export function isFields(value: Json | undefined): value is Fields {
  return value !== null && typeof value === "object" && !Array.isArray(value)
}

/** The rules of a version, without who saved them when. */
export function rulesOf(version: Json): Json {
  return isFields(version) ? Object.fromEntries(Object.entries(version).filter(([key]) => !READ_ONLY.includes(key))) : version
}

/** The list of all versions, and the defaults at its end. */
export const VERSIONS_PATH = "/programme/versions?defaults=true"
