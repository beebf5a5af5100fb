import { Alert, Button } from "@medusajs/ui"
import type { ReactNode } from "react"
import { fieldLabels } from "../../lib/drafts"
import { useTexts } from "../../lib/texts"
import { useEditor } from "../programme/editor"
import { useDiscard } from "../programme-history/history"

/** Above the form while it has a draft: which one, and what changed since it was made. */
export function DraftNote(): ReactNode {
  const t = useTexts()
  const { draft, base, load } = useEditor()
  const discards = useDiscard()
  if (!draft) return null
  const stop = async (): Promise<void> => {
    if (await discards()) load(base)
  }
  return (
    <div className="flex flex-col items-start gap-y-3 px-6 py-4">
      <Alert variant="info" className="w-full">
        {t("drafts.editing", { name: draft.name })}
      </Alert>
      {draft.conflicts.length > 0 && (
        <Alert variant="warning" className="w-full">
          {t("drafts.conflicts", { version: draft.version, fields: fieldLabels(draft.conflicts, t) })}
        </Alert>
      )}
      <Button size="small" variant="secondary" type="button" onClick={() => void stop()}>
        {t("drafts.stop")}
      </Button>
    </div>
  )
}
