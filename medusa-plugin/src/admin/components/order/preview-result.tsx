import { Alert, Text } from "@medusajs/ui"
import type { ReactNode } from "react"
import type { DustPreview } from "../../../types"
import { noted } from "../../lib/explanation"
import { shown } from "../../lib/format"
import { effectOf, isOfGuest } from "../../lib/preview"
import { useTexts } from "../../lib/texts"

/** The effect in one sentence, and the figures before and after. */
export function PreviewResult({ preview }: { preview: DustPreview }): ReactNode {
  const t = useTexts()
  const fromTo = (before: number, after: number): string =>
    before === after ? shown(after) : t("preview.fromTo", { before: shown(before), after: shown(after) })
  const rows = [
    { label: t("preview.balance"), value: fromTo(preview.balance_before, preview.balance_after) },
    { label: t("preview.available"), value: shown(preview.available_after) },
    { label: t("preview.pending"), value: fromTo(preview.pending_before, preview.pending_after) },
  ]
  const escrow = { label: t("preview.escrow"), value: fromTo(preview.escrow_before, preview.escrow_after) }
  return (
    <div className="flex flex-col gap-y-3" role="status">
      <Alert variant={preview.balance_after < 0 ? "warning" : "info"}>{effectOf(preview, t)}</Alert>
      <dl className="flex flex-col gap-y-1">
        {(isOfGuest(preview) ? [escrow] : rows).map(({ label, value }) => (
          <div key={label} className="flex justify-between gap-x-4">
            <dt>
              <Text size="small" className="text-ui-fg-subtle">
                {label}
              </Text>
            </dt>
            <dd>
              <Text size="small">{value}</Text>
            </dd>
          </div>
        ))}
      </dl>
      {preview.note && (
        <Text size="small" className="text-ui-fg-subtle">
          {noted(preview.note, t)}
        </Text>
      )}
    </div>
  )
}
