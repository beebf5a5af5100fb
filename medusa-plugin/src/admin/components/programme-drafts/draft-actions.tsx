import { EllipsisHorizontal } from "@medusajs/icons"
import { DropdownMenu, IconButton, toast, usePrompt } from "@medusajs/ui"
import { useMutation, useQueryClient } from "@tanstack/react-query"
import { useState, type ReactNode } from "react"
import { useSearchParams } from "react-router-dom"
import type { DustDraft, DustDraftSummary } from "../../../types"
import { DRAFTS } from "../../lib/drafts"
import { dust, messageOf } from "../../lib/dust"
import { useTexts } from "../../lib/texts"
import { useEditor } from "../programme/editor"
import { ImpactModal } from "../programme-impact/impact-modal"
import { useDiscard } from "../programme-history/history"
import { DraftDrawer } from "./draft-drawer"
import { PublishDrawer } from "./publish-drawer"

type Shown = { view: "edit" | "impact" | "publish"; draft: DustDraft }

/** What a merchant can do with a draft. */
export function DraftActions({ draft: { id, name } }: { draft: DustDraftSummary }): ReactNode {
  const t = useTexts()
  const [shown, setShown] = useState<Shown>()
  const open = useOpen()
  const erase = useDelete(id, name)
  // The list has no documents.
  const read = useMutation({
    mutationFn: (_: Shown["view"] | "open") => dust<DustDraft>(`${DRAFTS}/${id}`),
    onSuccess: (draft, view) => (view === "open" ? open(draft) : setShown({ view, draft })),
    onError: (error) => toast.error(messageOf(error, t)),
  })
  const close = (): void => setShown(undefined)
  return (
    <>
      <DropdownMenu>
        <DropdownMenu.Trigger asChild>
          <IconButton size="small" variant="transparent" aria-label={t("drafts.actions", { name })}>
            <EllipsisHorizontal />
          </IconButton>
        </DropdownMenu.Trigger>
        <DropdownMenu.Content align="end">
          <DropdownMenu.Item onClick={() => read.mutate("open")}>{t("drafts.open")}</DropdownMenu.Item>
          <DropdownMenu.Item onClick={() => read.mutate("edit")}>{t("drafts.edit")}</DropdownMenu.Item>
          <DropdownMenu.Item onClick={() => read.mutate("impact")}>{t("impact.show")}</DropdownMenu.Item>
          <DropdownMenu.Item onClick={() => read.mutate("publish")}>{t("drafts.publish")}</DropdownMenu.Item>
          <DropdownMenu.Separator />
          <DropdownMenu.Item onClick={() => void erase()}>{t("drafts.delete")}</DropdownMenu.Item>
        </DropdownMenu.Content>
      </DropdownMenu>
      {shown?.view === "edit" && (
        <DraftDrawer draft={shown.draft} document={shown.draft.document} basedOn={shown.draft.based_on} close={close} />
      )}
      {shown?.view === "impact" && <ImpactModal document={shown.draft.merged} close={close} />}
      {shown?.view === "publish" && <PublishDrawer draft={shown.draft} close={close} />}
    </>
  )
}

/** Put a draft into the form, with what was changed meanwhile. */
function useOpen(): (draft: DustDraft) => Promise<void> {
  const { begin } = useEditor()
  const discards = useDiscard()
  const [, setSearch] = useSearchParams()
  return async (draft) => {
    if (!(await discards())) return
    begin(draft.merged, draft)
    setSearch({ tab: "rules" }, { replace: true })
  }
}

function useDelete(id: string, name: string): () => Promise<void> {
  const t = useTexts()
  const prompt = usePrompt()
  const client = useQueryClient()
  const { draft: opened, base, load } = useEditor()
  const erase = useMutation({
    mutationFn: () => dust(`${DRAFTS}/${id}`, "DELETE"),
    onSuccess: async () => {
      if (opened?.id === id) load(base)
      await client.invalidateQueries({ queryKey: ["dust", DRAFTS] })
      toast.success(t("drafts.deleted", { name }))
    },
    onError: (error) => toast.error(messageOf(error, t)),
  })
  return async () => {
    const confirmed = await prompt({
      title: t("drafts.deleteTitle", { name }),
      description: t("drafts.deleteEffect"),
      confirmText: t("drafts.delete"),
      cancelText: t("general.cancel"),
    })
    if (confirmed) erase.mutate()
  }
}
