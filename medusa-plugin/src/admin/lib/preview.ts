import type { DustPreview } from "../../types"
import { shown } from "./format"
import type { Translate } from "./texts"

export type ChangeKind = "return" | "cancel" | "open"

/** What a merchant has filled in, for `POST /admin/dust/orders/{id}/preview`. `open` is what is open in Medusa. */
export type Change = { kind: ChangeKind; quantities: Record<string, string>; refund: string }

export type PreviewRequest =
  | { cancel: true }
  | { open_change: true }
  | { returns: { line_item_id: string; quantity: string }[]; refund?: string }

/** Whether nothing is filled in that could be previewed. */
export function isEmpty({ kind, quantities, refund }: Change): boolean {
  return kind === "return" && !refund.trim() && Object.values(quantities).every((quantity) => !quantity.trim())
}

export function requestOf({ kind, quantities, refund }: Change): PreviewRequest {
  if (kind === "cancel") return { cancel: true }
  if (kind === "open") return { open_change: true }
  const returns = Object.entries(quantities)
    .filter(([, quantity]) => quantity.trim())
    .map(([id, quantity]) => ({ line_item_id: id, quantity: quantity.trim() }))
  return { returns, ...(refund.trim() && { refund: refund.trim() }) }
}

type Line = { quantity: number; detail?: { return_received_quantity?: number; return_dismissed_quantity?: number } }

/** The units of a line that the customer still has. What came back damaged came back too. */
export function unitsLeft({ quantity, detail }: Line): number {
  return quantity - (detail?.return_received_quantity ?? 0) - (detail?.return_dismissed_quantity ?? 0)
}

/** Whether the points of the order wait for a guest to claim them. */
export function isOfGuest({ escrow_before: before, escrow_after: after }: DustPreview): boolean {
  return before > 0 || after > 0
}

/** `Takes back 180, returns 250, leaves −20.` */
export function effectOf(preview: DustPreview, t: Translate): string {
  const parts: [string, number][] = [
    ["preview.takesBack", preview.earned_taken_back],
    ["preview.adds", preview.earned_added],
    ["preview.returns", preview.spent_given_back],
    ["preview.spends", preview.spent_added],
  ]
  const moved = parts.filter(([, points]) => points).map(([key, points]) => t(key, { points: shown(points) }))
  const leaves = isOfGuest(preview)
    ? t("preview.leavesGuest", { points: shown(preview.escrow_after) })
    : t("preview.leaves", { points: shown(preview.balance_after) })
  const sentence = [...(moved.length ? moved : [t("preview.nothing")]), leaves].join(", ")
  return `${sentence[0].toUpperCase()}${sentence.slice(1)}.`
}
