import { GUARD_SENTENCES } from "./guard-sentences.js"

/** Why an order was refused. `message` is the English sentence, with places for the values. */
interface Refusal {
  code: string
  message: string
  values: Record<string, string>
}

/** What the checkout guard says with this sentence; undefined for a sentence that is not the guard's. */
export function guardRefusal(sentence: string): Refusal | undefined {
  for (const [code, message] of Object.entries(GUARD_SENTENCES)) {
    const match = patternOf(message).exec(sentence)
    if (match) return { code, message, values: { ...match.groups } }
  }
  return undefined
}

function patternOf(template: string): RegExp {
  const literal = template.replace(/[.*+?^$()|[\]\\]/g, "\\$&")
  return new RegExp(`^${literal.replace(/\{(\w+)\}/g, "(?<$1>.+)")}$`, "s")
}
