import { Button, Table, Text, toast, usePrompt } from "@medusajs/ui"
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query"
import type { ReactNode } from "react"
import type { DustCauses } from "../../../types"
import { dust, messageOf } from "../../lib/dust"
import { moment } from "../../lib/format"
import { useTexts } from "../../lib/texts"
import { meaningOf, Reason } from "./reason"
import { WideTable } from "../wide-table"

type Cause = DustCauses["causes"][number]

/** Why several events have failed, each cause with their number and a button that retries them all. */
export function Causes(): ReactNode {
  const t = useTexts()
  const query = useQuery({ queryKey: ["dust", "causes"], queryFn: () => dust<DustCauses>("/events/causes") })
  // One event has a button of its own.
  const causes = query.data?.causes.filter(({ events }) => events > 1) ?? []
  if (causes.length === 0) return null
  return (
    <div>
      <Text size="small" weight="plus" className="px-6 pt-4">
        {t("causes.title")}
      </Text>
      <WideTable>
        <Table.Body>
          {causes.map((cause) => (
            <Row key={`${cause.type} ${cause.error_code}`} cause={cause} />
          ))}
        </Table.Body>
      </WideTable>
    </div>
  )
}

function Row({ cause }: { cause: Cause }): ReactNode {
  const t = useTexts()
  const client = useQueryClient()
  const prompt = usePrompt()
  const retry = useMutation({
    mutationFn: () =>
      dust<{ retried: number }>("/events/retry", "POST", {
        type: cause.type,
        ...(cause.error_code ? { code: cause.error_code } : { without_code: true }),
      }),
    onSuccess: async ({ retried }) => {
      toast.success(t("events.retried", { count: retried }))
      await client.invalidateQueries({ queryKey: ["dust"] })
    },
    onError: (error) => toast.error(messageOf(error, t)),
  })
  const ask = async (): Promise<void> => {
    const confirmed = await prompt({
      title: t("causes.question", { count: cause.events }),
      description: t("causes.effect", { type: cause.type, reason: meaningOf(cause.error_code, t) ?? cause.reason ?? cause.error_code ?? "" }),
      confirmText: t("causes.retry", { count: cause.events }),
      cancelText: t("general.cancel"),
    })
    if (confirmed) retry.mutate()
  }
  return (
    <Table.Row>
      <Table.Cell className="whitespace-nowrap">{t("causes.events", { count: cause.events })}</Table.Cell>
      <Table.Cell className="whitespace-nowrap">{cause.type}</Table.Cell>
      <Table.Cell className="w-full">
        <div className="whitespace-normal py-2">
          <Reason code={cause.error_code} reason={cause.reason} />
          <Text size="xsmall" className="text-ui-fg-muted">
            {t("causes.since", { date: moment(cause.oldest_received_at) })}
          </Text>
        </div>
      </Table.Cell>
      <Table.Cell>
        <Button size="small" variant="secondary" className="whitespace-nowrap" isLoading={retry.isPending} onClick={() => void ask()}>
          {t("causes.all")}
        </Button>
      </Table.Cell>
    </Table.Row>
  )
}
