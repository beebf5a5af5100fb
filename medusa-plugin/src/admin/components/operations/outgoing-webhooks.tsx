import { Button, Select, StatusBadge, Table, Text, toast, usePrompt } from "@medusajs/ui"
import { useMutation, useQueryClient } from "@tanstack/react-query"
import { useState, type ComponentProps, type ReactNode } from "react"
import type { DustOutgoingWebhook, DustOutgoingWebhookList } from "../../../types"
import { dust, messageOf } from "../../lib/dust"
import { noted } from "../../lib/explanation"
import { moment, numbered } from "../../lib/format"
import { usePeople, type Person } from "../../lib/people"
import { useTexts } from "../../lib/texts"
import { CustomerLink } from "../links"
import { MoreButton, usePages } from "../page-of"
import { Loaded, Nothing } from "../states"
import { ReplayDrawer } from "./replay-drawer"
import { TestWebhook, WebhookDrawer } from "./webhook-drawer"
import { WideTable } from "../wide-table"

type State = DustOutgoingWebhook["state"]
const COLORS: Record<State, ComponentProps<typeof StatusBadge>["color"]> = { waiting: "orange", delivered: "green", failed: "red" }
// A webhook is sent after the answer to a test, a replay or a retry, so the list is read again by itself.
const REFRESH_MS = 5_000
const STATES = Object.keys(COLORS) as State[]

/** What Dust sends to others, with every attempt. */
export function OutgoingWebhooks(): ReactNode {
  const t = useTexts()
  const [state, setState] = useState<State | "all">("all")
  const path = state === "all" ? "/outgoing-webhooks" : `/outgoing-webhooks?state=${state}`
  const pages = usePages<DustOutgoingWebhookList>(path, REFRESH_MS)
  const rows = pages.data?.pages.flatMap((page) => page.outgoing_webhooks) ?? []
  const people = usePeople(rows.flatMap((webhook) => webhook.customer_id ?? []))
  return (
    <div className="divide-y">
      <div className="flex flex-wrap items-center justify-between gap-4 px-6 py-4">
        <Text size="small" className="text-ui-fg-subtle">
          {t("webhooks.intro")}
        </Text>
        <div className="flex flex-wrap items-center gap-2">
          <Select size="small" value={state} onValueChange={(chosen) => setState(chosen as State)}>
            <Select.Trigger className="w-36" aria-label={t("events.state")}>
              <Select.Value />
            </Select.Trigger>
            <Select.Content>
              {["all", ...STATES].map((state) => (
                <Select.Item key={state} value={state}>
                  {t(`webhooks.${state}`)}
                </Select.Item>
              ))}
            </Select.Content>
          </Select>
          <TestWebhook />
          <Replay />
          <RetryFailed />
        </div>
      </div>
      <Loaded query={pages}>
        {() => {
          if (rows.length === 0) return <Nothing>{t("webhooks.none")}</Nothing>
          return (
            <>
              <WideTable>
                <Table.Body>
                  {rows.map((webhook) => (
                    <Row key={webhook.id} webhook={webhook} person={people[webhook.customer_id ?? ""]} />
                  ))}
                </Table.Body>
              </WideTable>
              <MoreButton pages={pages} />
            </>
          )
        }}
      </Loaded>
    </div>
  )
}

function useSend(path: string): { send: () => void; isPending: boolean } {
  const t = useTexts()
  const client = useQueryClient()
  const { mutate, isPending } = useMutation({
    mutationFn: () => dust<{ retried: boolean | number }>(path, "POST"),
    onSuccess: async ({ retried }) => {
      toast.success(t("webhooks.sentAgain", numbered(Number(retried))))
      await client.invalidateQueries({ queryKey: ["dust"] })
    },
    onError: (error) => toast.error(messageOf(error, t)),
  })
  return { send: () => mutate(), isPending }
}

function Replay(): ReactNode {
  const t = useTexts()
  const [open, setOpen] = useState(false)
  return (
    <>
      <Button size="small" variant="secondary" onClick={() => setOpen(true)}>
        {t("replay.title")}
      </Button>
      {open && <ReplayDrawer close={() => setOpen(false)} />}
    </>
  )
}

function RetryFailed(): ReactNode {
  const t = useTexts()
  const prompt = usePrompt()
  const { send, isPending } = useSend("/outgoing-webhooks/retry")
  const ask = async (): Promise<void> => {
    const confirmed = await prompt({
      title: t("webhooks.question"),
      description: t("webhooks.effect"),
      confirmText: t("webhooks.retryFailed"),
      cancelText: t("general.cancel"),
    })
    if (confirmed) send()
  }
  return (
    <Button size="small" variant="secondary" isLoading={isPending} onClick={() => void ask()}>
      {t("webhooks.retryFailed")}
    </Button>
  )
}

function Row({ webhook, person }: { webhook: DustOutgoingWebhook; person?: Person }): ReactNode {
  const t = useTexts()
  const { send, isPending } = useSend(`/outgoing-webhooks/${webhook.id}/retry`)
  return (
    <Table.Row>
      <Table.Cell className="whitespace-nowrap">{moment(webhook.created_at)}</Table.Cell>
      <Table.Cell>
        <StatusBadge color={COLORS[webhook.state]}>{webhook.type}</StatusBadge>
      </Table.Cell>
      <Table.Cell className="w-full">
        <Text size="small" className="py-2">
          {webhook.reason ? noted(webhook.reason, t) : t(`webhooks.${webhook.state}`)}
        </Text>
      </Table.Cell>
      <Table.Cell className="whitespace-nowrap">
        {webhook.customer_id && <CustomerLink id={webhook.customer_id} person={person} />}
      </Table.Cell>
      <Table.Cell>
        <div className="flex items-center justify-end gap-x-2">
          <WebhookDrawer webhookId={webhook.id} />
          {webhook.state !== "waiting" && (
            <Button size="small" variant="secondary" className="whitespace-nowrap" isLoading={isPending} onClick={send}>
              {t("webhooks.send")}
            </Button>
          )}
        </div>
      </Table.Cell>
    </Table.Row>
  )
}
