import type { DustBalance, DustExplanation, DustOrder } from "../../types"
import { explanation as english } from "../i18n/en/explanation"
import { amount, day, shown } from "./format"
import { counted, type Translate } from "./texts"

type Step = DustExplanation["steps"][number]

/** A transaction as a sentence in the language of `t`, with days in the time zone. The bridge's sentences are in English. */
export function sentenceOf(step: Step, t: Translate, timeZone?: string): string {
  const key = keyOf(step)
  // A newer bridge may have kinds that these texts do not know.
  if (!key) return step.sentence
  return t(`explanation.${key}`, {
    ...counted(pointsOf(step), t),
    order: step.order_number ? t("explanation.order", { number: step.order_number }) : t("explanation.anOrder"),
    origin: originOf(step, t),
    purpose: purposeOf(step, t, timeZone),
    reason: step.reference_id,
    description: described(step.description, t),
  })
}

const KEYS: Partial<Record<Step["kind"], string>> = {
  mature: "matured",
  bonus: "bonus",
  import: "imported",
  hold: "held",
  release: "released",
  redeem: "spent",
  refund: "refunded",
  expire: "expired",
  merge: "merged",
  unmerge: "unmerged",
}

function keyOf({ kind, amount, pending, reference_type: about }: Step): string | undefined {
  if (kind === "earn") return pending ? "earnedLater" : "earned"
  if (kind === "adjust") return amount > 0 ? "added" : "taken"
  if (kind === "transfer") return amount + pending > 0 ? "cameWithOrder" : "wentWithOrder"
  if (kind === "reverse" && about === "import") return "importUndone"
  if (kind === "reverse" && about === "waived") return amount + pending > 0 ? "unwaived" : "waived"
  return kind === "reverse" ? "reversed" : KEYS[kind]
}

/** Points become spendable as they leave the pending ones; a hold changes neither. */
function pointsOf({ kind, amount, pending, held }: Step): number {
  if (kind === "hold" || kind === "release") return Math.abs(held)
  return kind === "mature" ? Math.abs(amount) : Math.abs(amount) + Math.abs(pending)
}

function originOf({ reference_type: about, order_number: number }: Step, t: Translate): string {
  if (about === "order") return number ? t("explanation.order", { number }) : t("explanation.anOrder")
  return t(`explanation.origins.${about in english.origins ? about : "other"}`)
}

function purposeOf({ kind, redeemed }: Step, t: Translate, timeZone?: string): string {
  if (!redeemed) return t("explanation.redemption")
  const text = redemptionText(redeemed, t)
  return kind === "hold" ? text : t("explanation.purpose", { what: text, date: day(redeemed.redeemed_at, timeZone) })
}

function redemptionText({ kind, reward, value, currency_code: currency, percent, units }: NonNullable<Step["redeemed"]>, t: Translate): string {
  if (reward) return t("explanation.reward", { name: reward })
  if (kind === "free_shipping") return t("explanation.freeShipping")
  if (value && currency) return t("explanation.off", { value: `${amount(value)} ${currency.toUpperCase()}` })
  if (percent) return t("explanation.off", { value: `${amount(percent)} %` })
  return units ? t("explanation.products", { count: units }) : t("explanation.redemption")
}

/** The bridge's own descriptions in the language of `t`; a merchant's stay as they are. */
export function described(description: string, t: Translate): string {
  const known = Object.entries(english.descriptions).find(([, text]) => text === description)
  return known ? t(`explanation.descriptions.${known[0]}`) : description
}

/** A sentence of the bridge that it has stored or warns with, in the language of `t`. An unknown one, and a merchant's, stays as it is. */
export function noted(note: string, t: Translate): string {
  for (const [name, text] of Object.entries(english.notes)) {
    const values = new RegExp(`^${text.replace(/[.()]/g, "\\$&").replace(/{{(\w+)}}/g, "(?<$1>.+)")}$`, "s").exec(note)
    if (values) return t(`explanation.notes.${name}`, shownValues(values.groups, t))
  }
  return described(note, t)
}

/** The values of a sentence of the bridge as the dashboard shows them: `1,200 points`, `30 days`, `05 Jan 2027`. */
function shownValues(values: Record<string, string> = {}, t: Translate): Record<string, string | number> {
  const { points, limit, days, date, reason } = values
  return {
    ...values,
    ...(points && counted(numberIn(points), t)),
    ...(limit && { limit: shown(numberIn(limit)) }),
    ...(days && { days: t("general.days", { count: numberIn(days) }) }),
    ...(date && { date: day(date) }),
    ...(reason && { reason: noted(reason, t) }),
  }
}

function numberIn(text: string): number {
  return Number(text.replace(/\D/g, ""))
}

/** What happened to the points of a guest's order in escrow, and until when the guest can claim them. */
export function escrowSentences(
  { guest_escrow: escrow, order_number: number }: DustOrder,
  t: Translate,
  timeZone?: string,
): { at: string; text: string }[] {
  if (!escrow) return []
  const order = number ? t("explanation.order", { number }) : t("explanation.anOrder")
  const sentences = escrow.entries.map(({ kind, amount, created_at: at }) => ({
    at,
    text: t(`explanation.escrow.${kind}`, { ...counted(Math.abs(amount), t), order }),
  }))
  if (escrow.state !== "waiting") return sentences
  const values = { ...counted(escrow.dust, t), date: day(escrow.expires_at, timeZone) }
  return [...sentences, { at: "", text: t("explanation.escrow.waits", values) }]
}

/** The rules that gave the points of an order, each in a few words. */
export function rulesOf({ rates, rules, claimed_at: claimedAt }: Step, t: Translate, timeZone?: string): string[] {
  const words = Object.entries(rates).map(([code, rate]) => t("explanation.rate", { rate: amount(rate), currency: code.toUpperCase() }))
  if (rules?.multipliers.length) words.push(t("explanation.multiplied", { names: rules.multipliers.join(", ") }))
  words.push(...(rules?.fixed ?? []).map((points) => t("explanation.fixed", { points })))
  if (rules?.excluded) words.push(t("explanation.excluded"))
  if (rules?.tier) words.push(t("explanation.tier", { name: rules.tier, factor: amount(rules.tier_factor ?? "") }))
  if (rules?.note) words.push(noted(rules.note, t).replace(/\.$/, ""))
  if (claimedAt) words.push(t("explanation.claimed", { date: day(claimedAt, timeZone) }))
  return words
}

/** What makes up a balance now, in sentences. */
export function summaryOf(
  { balance, available, held, pending, expiring, tier }: DustBalance,
  t: Translate,
  timeZone?: string,
): string[] {
  const sentences = [t("explanation.summary.balance", { ...counted(balance, t), available: shown(available) })]
  if (held) sentences.push(t("explanation.summary.held", counted(held, t)))
  if (pending) sentences.push(t("explanation.summary.pending", counted(pending, t)))
  for (const lot of expiring) {
    sentences.push(t("explanation.summary.expiring", { ...counted(lot.amount, t), date: day(lot.expires_at, timeZone) }))
  }
  return [...sentences, ...(tier ? tierSentences(tier, t, timeZone) : [])]
}

function tierSentences(
  { name, factor, until, next, currency_code: currency }: NonNullable<DustBalance["tier"]>,
  t: Translate,
  timeZone?: string,
): string[] {
  const sentences: string[] = []
  const values = { name: name ?? "", factor: amount(factor) }
  if (name && until) sentences.push(t("explanation.summary.tierUntil", { ...values, date: day(until, timeZone) }))
  else if (name) sentences.push(t("explanation.summary.tier", values))
  if (next) {
    const missing = currency ? `${amount(next.missing)} ${currency.toUpperCase()}` : counted(Number(next.missing), t).points
    sentences.push(t("explanation.summary.next", { missing, name: next.name }))
  }
  return sentences
}
