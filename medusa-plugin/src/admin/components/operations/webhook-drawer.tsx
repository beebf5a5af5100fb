import { Button, Drawer, Text, toast } from "@medusajs/ui"
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query"
import type { ReactNode } from "react"
import type { DustOutgoingWebhookDetail } from "../../../types"
import { dust, messageOf } from "../../lib/dust"
import { noted } from "../../lib/explanation"
import { moment, shown } from "../../lib/format"
import { useTexts } from "../../lib/texts"
import { Loaded } from "../states"

const REFRESH_MS = 2_000

/** One outgoing webhook: its data, and every attempt to deliver it. */
export function WebhookDrawer({ webhookId }: { webhookId: string }): ReactNode {
  const t = useTexts()
  return (
    <Drawer>
      <Drawer.Trigger asChild>
        <Button size="small" variant="transparent">
          {t("events.details")}
        </Button>
      </Drawer.Trigger>
      <Drawer.Content>
        <Drawer.Header>
          <Drawer.Title>{t("webhooks.webhook")}</Drawer.Title>
        </Drawer.Header>
        <Drawer.Body className="overflow-y-auto">
          <Detail webhookId={webhookId} />
        </Drawer.Body>
      </Drawer.Content>
    </Drawer>
  )
}

/** Send a test, and show what the receiver answers. */
export function TestWebhook(): ReactNode {
  const t = useTexts()
  const client = useQueryClient()
  const test = useMutation({
    mutationFn: () => dust<{ id: string }>("/outgoing-webhooks/ping", "POST"),
    onSuccess: () => client.invalidateQueries({ queryKey: ["dust"] }),
    onError: (error) => toast.error(messageOf(error, t)),
  })
  return (
    <>
      <Button size="small" variant="secondary" isLoading={test.isPending} onClick={() => test.mutate()}>
        {t("replay.test")}
      </Button>
      <Drawer open={test.isSuccess} onOpenChange={() => test.reset()}>
        <Drawer.Content>
          <Drawer.Header>
            <Drawer.Title>{t("replay.testTitle")}</Drawer.Title>
          </Drawer.Header>
          <Drawer.Body className="overflow-y-auto">{test.data && <Detail webhookId={test.data.id} />}</Drawer.Body>
        </Drawer.Content>
      </Drawer>
    </>
  )
}

/** Asked for when the drawer opens, and not before. */
function Detail({ webhookId }: { webhookId: string }): ReactNode {
  const t = useTexts()
  const path = `/outgoing-webhooks/${webhookId}`
  const query = useQuery({
    queryKey: ["dust", path],
    queryFn: () => dust<DustOutgoingWebhookDetail>(path),
    refetchInterval: ({ state }) => (state.data?.state === "waiting" ? REFRESH_MS : false),
  })
  return (
    <Loaded query={query}>
      {(webhook) => (
        <div className="flex flex-col gap-y-4">
          <Text size="small">{[webhook.type, webhook.id, moment(webhook.created_at)].join(" · ")}</Text>
          <Text size="small" weight="plus">
            {t("events.attempts")}
          </Text>
          {webhook.deliveries.length === 0 && <Text size="small">{t("webhooks.notSent")}</Text>}
          {webhook.deliveries.map((delivery, index) => (
            <Text key={index} size="small">
              {[moment(delivery.at), delivery.status ?? "–", `${shown(delivery.milliseconds)} ms`, delivery.reason && noted(delivery.reason, t)].filter(Boolean).join(" · ")}
            </Text>
          ))}
          <Text size="small" weight="plus">
            {t("events.body")}
          </Text>
          <pre className="bg-ui-bg-subtle txt-compact-small overflow-x-auto rounded-lg p-4">{JSON.stringify(webhook.data, null, 2)}</pre>
        </div>
      )}
    </Loaded>
  )
}
