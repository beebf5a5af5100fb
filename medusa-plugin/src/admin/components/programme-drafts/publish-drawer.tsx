import { Alert, Text, toast } from "@medusajs/ui"
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query"
import type { ReactNode } from "react"
import type { DustDraft, DustProgramme } from "../../../types"
import { DRAFTS, fieldLabels } from "../../lib/drafts"
import { dust } from "../../lib/dust"
import { useTexts } from "../../lib/texts"
import { FormDrawer } from "../form-drawer"
import { useEditor } from "../programme/editor"
import { ChangeList } from "../programme-history/change-list"
import { Loaded } from "../states"

/** What publishing a draft changes, and a button that does it. */
export function PublishDrawer({ draft, close }: { draft: DustDraft; close: () => void }): ReactNode {
  const t = useTexts()
  const client = useQueryClient()
  const editor = useEditor()
  const { id, name, version, conflicts, merged } = draft
  const present = useQuery({ queryKey: ["dust", "programme", version], queryFn: () => dust<DustProgramme>("/programme"), gcTime: 0 })
  const publish = useMutation({
    // What is shown is what is published: another version in force is refused.
    mutationFn: () => dust<DustProgramme>(`${DRAFTS}/${id}/publish`, "POST", undefined, { "if-match": `"${version}"` }),
    onSuccess: async (written) => {
      // It is no draft any more.
      if (editor.draft?.id === id) editor.load(written)
      await client.invalidateQueries({ queryKey: ["dust"] })
      toast.success(t("drafts.published", { version: written.version }))
      close()
    },
  })
  const conflict = conflicts.length > 0
  return (
    <FormDrawer
      title={t("drafts.publishTitle", { name })}
      submit={t("drafts.publish")}
      close={close}
      onSubmit={() => publish.mutate()}
      isPending={publish.isPending}
      disabled={conflict}
      error={publish.error}
    >
      {conflict ? (
        <Alert variant="warning">{t("drafts.publishConflicts", { version, fields: fieldLabels(conflicts, t) })}</Alert>
      ) : (
        <>
          <Text size="small">{t("drafts.publishChanges", { version })}</Text>
          <Loaded query={present}>{(programme) => <ChangeList before={programme} after={merged} />}</Loaded>
        </>
      )}
    </FormDrawer>
  )
}
