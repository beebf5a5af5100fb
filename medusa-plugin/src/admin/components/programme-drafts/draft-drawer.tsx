import { toast } from "@medusajs/ui"
import { useMutation, useQueryClient } from "@tanstack/react-query"
import { useState, type ReactNode } from "react"
import type { DustDraft } from "../../../types"
import type { Json } from "../../lib/document"
import { dust, errorAt } from "../../lib/dust"
import { DRAFTS, isFuture, savingOf, wrongRules, type Saving } from "../../lib/drafts"
import { useTexts } from "../../lib/texts"
import { DateField, TextField } from "../field"
import { FormDrawer } from "../form-drawer"

/** What was filled in. */
export type Typed = Pick<DustDraft, "name" | "starts_at">

type Props = {
  /** The draft to replace; without it, a new one is saved. */
  draft?: Typed & Pick<DustDraft, "id" | "updated_at">
  /** What was filled in before, when some of the rules were wrong. */
  typed?: Typed
  document: Json
  /** The version that the document was made from. */
  basedOn: number
  close: () => void
  onSaved?: (draft: DustDraft) => void
  /** Some of the rules are wrong. */
  onWrongRules?: (error: Error, typed: Typed) => void
}

const SUBMIT: Record<Saving, string> = { new: "drafts.saveNew", replace: "drafts.save", overwrite: "drafts.overwrite" }

/** Name and start date of a draft, and a button that saves it with its rules. */
export function DraftDrawer({ draft, typed = draft, document, basedOn, close, onSaved, onWrongRules }: Props): ReactNode {
  const t = useTexts()
  const client = useQueryClient()
  const [name, setName] = useState(typed?.name ?? "")
  // A start that is over cannot be saved again.
  const [startsAt, setStartsAt] = useState(isFuture(typed?.starts_at) ? (typed?.starts_at ?? null) : null)
  const save = useMutation({
    mutationFn: (saving: Saving) => {
      const body = { name, document, based_on: basedOn, starts_at: startsAt }
      if (!draft || saving === "new") return dust<DustDraft>(DRAFTS, "POST", body)
      const headers: HeadersInit = saving === "overwrite" ? {} : { "if-match": `"${draft.updated_at}"` }
      return dust<DustDraft>(`${DRAFTS}/${draft.id}`, "PUT", body, headers)
    },
    onSuccess: async (saved) => {
      await client.invalidateQueries({ queryKey: ["dust", DRAFTS] })
      toast.success(t("drafts.stored", { name: saved.name }))
      onSaved?.(saved)
      close()
    },
    onError: (error) => {
      const wrong = wrongRules(error)
      if (wrong === 0) return
      toast.error(t("drafts.wrong", { count: wrong }))
      onWrongRules?.(error, { name, starts_at: startsAt })
      close()
    },
  })
  // What the bridge said was about what stood there before.
  const changeName = (typed: string): void => {
    save.reset()
    setName(typed)
  }
  const changeStart = (date: Date | null): void => {
    save.reset()
    setStartsAt(date?.toISOString() ?? null)
  }
  const saving = savingOf(draft, save.error)
  return (
    <FormDrawer
      title={t(draft ? "drafts.editTitle" : "drafts.saveTitle")}
      submit={t(SUBMIT[draft ? saving : "replace"])}
      close={close}
      onSubmit={() => save.mutate(saving)}
      isPending={save.isPending}
      error={save.error}
    >
      <TextField label={t("drafts.name")} hint={t("drafts.nameHint")} error={errorAt(save.error, "name")} autoFocus value={name} onChange={changeName} />
      <DateField
        label={t("drafts.start")}
        hint={t("drafts.startHint")}
        error={errorAt(save.error, "starts_at")}
        granularity="minute"
        value={startsAt ? new Date(startsAt) : null}
        onChange={changeStart}
      />
    </FormDrawer>
  )
}
