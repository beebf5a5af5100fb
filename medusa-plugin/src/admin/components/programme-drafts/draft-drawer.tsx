import { DatePicker, toast } from "@medusajs/ui"
import { useMutation, useQueryClient } from "@tanstack/react-query"
import { useState, type ReactNode } from "react"
import type { DustDraft } from "../../../types"
import type { Json } from "../../lib/document"
import { dust, errorAt } from "../../lib/dust"
import { DRAFTS, isFuture, wrongRules } from "../../lib/drafts"
import { useTexts } from "../../lib/texts"
import { Field, TextField } from "../field"
import { FormDrawer } from "../form-drawer"

type Props = {
  /** The draft to replace; without it, a new one is saved. */
  draft?: Pick<DustDraft, "id" | "name" | "starts_at">
  document: Json
  /** The version that the document was made from. */
  basedOn: number
  close: () => void
  onSaved?: (draft: DustDraft) => void
  /** Some of the rules are wrong. */
  onWrongRules?: (error: Error) => void
}

/** Name and start date of a draft, and a button that saves it with its rules. */
export function DraftDrawer({ draft, document, basedOn, close, onSaved, onWrongRules }: Props): ReactNode {
  const t = useTexts()
  const client = useQueryClient()
  const [name, setName] = useState(draft?.name ?? "")
  // A start that is over cannot be saved again.
  const [startsAt, setStartsAt] = useState(isFuture(draft?.starts_at) ? (draft?.starts_at ?? null) : null)
  const save = useMutation({
    mutationFn: () => {
      const body = { name, document, based_on: basedOn, starts_at: startsAt }
      return draft ? dust<DustDraft>(`${DRAFTS}/${draft.id}`, "PUT", body) : dust<DustDraft>(DRAFTS, "POST", body)
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
      onWrongRules?.(error)
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
  return (
    <FormDrawer
      title={t(draft ? "drafts.editTitle" : "drafts.saveTitle")}
      submit={t("drafts.save")}
      close={close}
      onSubmit={() => save.mutate()}
      isPending={save.isPending}
      error={save.error}
    >
      <TextField label={t("drafts.name")} hint={t("drafts.nameHint")} error={errorAt(save.error, "name")} autoFocus value={name} onChange={changeName} />
      <Field label={t("drafts.start")} hint={t("drafts.startHint")} error={errorAt(save.error, "starts_at")}>
        <DatePicker
          size="small"
          granularity="minute"
          aria-label={t("drafts.start")}
          value={startsAt ? new Date(startsAt) : null}
          onChange={changeStart}
        />
      </Field>
    </FormDrawer>
  )
}
