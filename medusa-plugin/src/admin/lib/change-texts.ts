import { isFields, type Change } from "./differences"
import type { Json } from "./document"
import { moment, shown } from "./format"
import { ruleText } from "./rule-texts"
import type { Kind } from "./shop"
import type { Translate } from "./texts"

export type ChangeText = { label: string; before: string; after: string }
/** The names of products, categories, … by their ids. */
export type Names = Record<string, string>

const NOTHING = "–"
const KINDS: [RegExp, Kind][] = [
  [/product_ids?$/, "products"],
  [/category_ids$/, "categories"],
  [/collection_ids$/, "collections"],
  [/customer_group_ids$/, "customer_groups"],
]

/** A change as the form words it: its label, and the value before and after. */
export function changeText({ steps, before, after }: Change, t: Translate, names: Names = {}): ChangeText {
  const fields: string[] = []
  const parts: string[] = []
  let own = 0
  for (const step of steps) {
    if ("entry" in step) {
      parts.push(`${ruleText(fields.join("."), "one", t) || ruleText(fields.join("."), "label", t)} “${names[step.entry] ?? step.entry}”`)
      own = fields.length
    } else {
      fields.push(step.field)
    }
  }
  if (fields.length > own) parts.push(labelOf(fields, own, t))
  const added = before === undefined && isFields(after)
  const removed = after === undefined && isFields(before)
  return {
    label: parts.join(": "),
    before: added ? NOTHING : valueText(fields, before, t, names),
    after: removed ? t("history.removed") : valueText(fields, after, t, names),
  }
}

/** The label of a field, `earn.rates.eur` for one. What the bridge names is given as the form names it. */
export function fieldLabel(field: string, t: Translate): string {
  return labelOf(field.split(".").filter((step) => !/^\d+$/.test(step)), 0, t)
}

/** The ids in some changes, by the kind of what they are the ids of. */
export function idsIn(changes: Change[]): Partial<Record<Kind, string[]>> {
  const ids: Partial<Record<Kind, string[]>> = {}
  const collect = (field: string, value: Json | undefined): void => {
    if (isFields(value)) Object.entries(value).forEach(([key, inner]) => collect(key, inner))
    else if (Array.isArray(value)) value.forEach((entry) => collect(field, entry))
    const kind = KINDS.find(([pattern]) => pattern.test(field))?.[1]
    if (kind && typeof value === "string") ids[kind] = [...new Set([...(ids[kind] ?? []), value])]
  }
  for (const { steps, before, after } of changes) {
    const last = steps[steps.length - 1]
    const field = "field" in last ? last.field : ""
    collect(field, before)
    collect(field, after)
  }
  return ids
}

/** The label of the field, or of what holds it with the rest in brackets: `Points per unit of money (EUR)`. */
function labelOf(fields: string[], own: number, t: Translate): string {
  for (let end = fields.length; end > own; end--) {
    const label = ruleText(fields.slice(0, end).join("."), "label", t)
    const rest = fields.slice(end).join(" ").toUpperCase()
    if (label) return rest ? `${label} (${rest})` : label
  }
  return fields.slice(own).join(" ")
}

function valueText(fields: string[], value: Json | undefined, t: Translate, names: Names): string {
  if (value === undefined || value === null || value === "") return ruleText(fields.join("."), "empty", t) || NOTHING
  if (typeof value === "boolean") return t(value ? "history.yes" : "history.no")
  if (typeof value === "number") return shown(value)
  if (typeof value === "string") return stringText(fields, value, t, names)
  if (Array.isArray(value)) return value.map((entry) => valueText(fields, entry, t, names)).join(", ") || NOTHING
  const parts = Object.entries(value)
    .filter(([, inner]) => !isEmpty(inner))
    .map(([key, inner]) => `${labelOf([...fields, key], fields.length, t)} ${valueText([...fields, key], inner, t, names)}`)
  return parts.join("; ") || NOTHING
}

function stringText(fields: string[], value: string, t: Translate, names: Names): string {
  if (fields[fields.length - 1]?.endsWith("_at")) return moment(value)
  return ruleText(fields.join("."), `choices.${value.replace(".", "_")}`, t) || names[value] || value
}

function isEmpty(value: Json): boolean {
  return value === null || value === "" || (typeof value === "object" && Object.keys(value).length === 0)
}
