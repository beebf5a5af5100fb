import { findings } from "../i18n/en/findings"
import type { Translate } from "./texts"

/** The bridge's general findings about a value, and the text for each. Its own sentences stay as they are. */
const FINDINGS: [RegExp, keyof typeof findings.finding][] = [
  [/^Input should be a valid integer/, "whole"],
  [/^(Input should be a (valid decimal|finite number)|Decimal input should be an? )/, "number"],
  [/^String should have at least 1 character$/, "missing"],
  [/^String should have at most (\d+) characters$/, "long"],
  [/^Field required$/, "missing"],
  [/^Decimal input should have no more than (\d+) decimal places?$/, "places"],
  [/^Input should be greater than or equal to (\S+)$/, "atLeast"],
  [/^Input should be greater than (\S+)$/, "moreThan"],
  [/^Input should be less than or equal to (\S+)$/, "atMost"],
  [/^Input should be less than (\S+)$/, "lessThan"],
  // The patterns of an id, of the id of a reward and of a time zone.
  [/^String should match pattern '\^\[A-Za-z0-9\]\[/, "choose"],
  [/^String should match pattern '\^\[a-z0-9\]\[/, "code"],
  [/^String should match pattern '\^\[A-Za-z0-9_\+\/-\]/, "zone"],
]

/** What the bridge says about a value, as a form says it: in the language of `t`, or in English. */
export function worded(message: string, t: Translate = inEnglish): string {
  for (const [pattern, name] of FINDINGS) {
    const found = pattern.exec(message)
    if (found) return t(`finding.${name}`, { limit: found[1] ?? "" })
  }
  return message
}

const inEnglish: Translate = (key, values) =>
  findings.finding[key.split(".")[1] as keyof typeof findings.finding].replace("{{limit}}", String(values?.limit))
