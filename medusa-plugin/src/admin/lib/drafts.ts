import { DustError } from "./dust"
import { noted } from "./explanation"
import { fieldLabel } from "./change-texts"
import type { Translate } from "./texts"
import { worded } from "./wording"

/** Where the drafts are, and the key of their list. */
export const DRAFTS = "/programme/drafts"

const OWN_FIELDS = ["name", "starts_at", "based_on"]

/** What a button that saves a draft does: after an error, what is still possible. */
export type Saving = "new" | "replace" | "overwrite"

/** Without a draft, or when it was published or deleted meanwhile, a new one; otherwise it is replaced, and what another user saved only if asked. */
export function savingOf(draft: { id: string } | undefined, error: unknown): Saving {
  const code = error instanceof DustError ? error.problem.code : undefined
  if (!draft || code === "unknown_draft") return "new"
  return code === "draft_replaced" ? "overwrite" : "replace"
}

/** How many of the rules in a draft the bridge has refused; errors of its name and start date do not count. */
export function wrongRules(error: unknown): number {
  const errors = error instanceof DustError ? (error.problem.errors ?? []) : []
  return errors.filter(({ field }) => !OWN_FIELDS.includes(field)).length
}

export function isFuture(moment: string | null | undefined, now = Date.now()): boolean {
  return Boolean(moment) && new Date(moment ?? "").getTime() > now
}

/** The labels of fields, as the form has them, in one line. */
export function fieldLabels(fields: string[], t: Translate): string {
  return fields.map((field) => fieldLabel(field, t)).join(", ")
}

/** Why a draft could not start: a sentence, or what is wrong with which fields, such as `redeem.min_dust: must be …; …`. */
export function reasonText(reason: string, t: Translate): string {
  const sentence = noted(reason, t)
  if (sentence !== reason) return sentence
  const findings = reason.split("; ").map((finding) => /^([a-z_]+(?:\.\w+)*): (.+)$/s.exec(finding) ?? [])
  if (!findings.every(([found]) => found)) return reason
  return findings.map(([, field, message]) => `${fieldLabel(field, t)}: ${worded(message, t)}`).join("; ")
}
