import { Alert, Button, toast, usePrompt } from "@medusajs/ui"
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query"
import type { ReactNode } from "react"
import { Link } from "react-router-dom"
import type { DustMerge, DustUnmerge } from "../../../types"
import { dust, messageOf } from "../../lib/dust"
import { moment, shown } from "../../lib/format"
import { nameOf, usePeople, type Person } from "../../lib/people"
import { useTexts } from "../../lib/texts"

/** The accounts that are merged with this one, each with a button that undoes it. */
export function Merges({ customerId }: { customerId: string }): ReactNode {
  const path = `/customers/${customerId}/merges`
  const query = useQuery({ queryKey: ["dust", path], queryFn: () => dust<{ merges: DustMerge[] }>(path) })
  const merges = query.data?.merges.filter((merge) => !merge.unmerged_at) ?? []
  const people = usePeople(merges.map((merge) => otherOf(merge, customerId)))
  if (merges.length === 0) return null
  return (
    <div className="flex flex-col gap-y-2 px-6 py-4">
      {merges.map((merge) => (
        <Merge key={merge.id} merge={merge} customerId={customerId} other={people[otherOf(merge, customerId)]} />
      ))}
    </div>
  )
}

/** The account that is merged with this one. */
function otherOf(merge: DustMerge, customerId: string): string {
  return merge.customer_id === customerId ? merge.survivor_id : merge.customer_id
}

function Merge({ merge, customerId, other }: { merge: DustMerge; customerId: string; other?: Person }): ReactNode {
  const t = useTexts()
  const client = useQueryClient()
  const prompt = usePrompt()
  const undo = useMutation({
    mutationFn: () => dust<DustUnmerge>(`/customers/${merge.customer_id}/unmerge`, "POST"),
    onSuccess: async ({ brought, returned }) => {
      await client.invalidateQueries({ queryKey: ["dust"] })
      toast.success(t("merge.undone", { brought: shown(brought), returned: shown(returned) }))
    },
    onError: (error) => toast.error(messageOf(error, t)),
  })
  const ask = async (): Promise<void> => {
    const confirmed = await prompt({
      title: t("merge.undoTitle"),
      description: t("merge.undoEffect"),
      confirmText: t("merge.undo"),
      cancelText: t("general.cancel"),
    })
    if (confirmed) undo.mutate()
  }
  const away = merge.customer_id === customerId
  return (
    <Alert variant="info">
      <div className="flex flex-col items-start gap-y-2">
        <span>
          {t(away ? "merge.away" : "merge.here", { date: moment(merge.merged_at) })}{" "}
          <Link className="text-ui-fg-base underline" to={`/customers/${otherOf(merge, customerId)}`}>
            {other ? t("merge.otherNamed", { name: nameOf(other) }) : t("merge.other")}
          </Link>
        </span>
        <Button size="small" variant="secondary" isLoading={undo.isPending} onClick={() => void ask()}>
          {t("merge.undo")}
        </Button>
      </div>
    </Alert>
  )
}
