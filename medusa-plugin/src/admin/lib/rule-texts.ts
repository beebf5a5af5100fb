import type { Translate } from "./texts"

/**
 * A text of a field of the rules, such as its `label` or `hint`; empty if it has none.
 *
 * The entries of a list share their texts: `earn.multipliers.0.name` has those of `earn.multipliers.name`.
 */
export function ruleText(field: string, name: string, t: Translate): string {
  const steps = field.split(".").filter((step) => !/^\d+$/.test(step))
  return t(["rules", "field", ...steps, name].join("."), { defaultValue: "" })
}
