import { Button } from "@medusajs/ui"
import { useState, type ReactNode } from "react"
import { useSearchParams } from "react-router-dom"
import { useTexts } from "../../lib/texts"
import { ImpactModal } from "../programme-impact/impact-modal"
import { useEditor } from "../programme/editor"
import { DraftDrawer, type Typed } from "./draft-drawer"

/** Below the form: show the impact, save as a draft, and put the rules in force. A draft is put in force in its list. */
export function SaveButtons(): ReactNode {
  const t = useTexts()
  const { base, document, unsaved, draft, save, load, begin, showErrors } = useEditor()
  const [, setSearch] = useSearchParams()
  const [open, setOpen] = useState<"impact" | "draft">()
  const [typed, setTyped] = useState<Typed & { draftId?: string }>()
  const close = (): void => setOpen(undefined)
  return (
    <div className="flex flex-wrap items-center gap-2">
      <Button size="small" variant="secondary" type="button" onClick={() => setOpen("impact")}>
        {t("impact.show")}
      </Button>
      <Button
        size="small"
        variant={draft ? "primary" : "secondary"}
        type="button"
        disabled={!unsaved && !draft?.conflicts.length}
        onClick={() => setOpen("draft")}
      >
        {t(draft ? "drafts.save" : "drafts.saveAs")}
      </Button>
      {!draft && (
        <Button size="small" type="submit" isLoading={save.isPending} disabled={!unsaved}>
          {t("rules.save")}
        </Button>
      )}
      {open === "impact" && <ImpactModal document={document} close={close} onError={showErrors} />}
      {open === "draft" && (
        <DraftDrawer
          draft={draft ?? undefined}
          typed={typed?.draftId === draft?.id ? typed : undefined}
          document={document}
          basedOn={draft?.version ?? base.version}
          close={close}
          onSaved={(saved) => {
            setTyped(undefined)
            if (draft) {
              begin(saved.merged, saved)
              return
            }
            load(base)
            setSearch({ tab: "drafts" }, { replace: true })
          }}
          onWrongRules={(error, filledIn) => {
            showErrors(error)
            setTyped({ ...filledIn, draftId: draft?.id })
          }}
        />
      )}
    </div>
  )
}
