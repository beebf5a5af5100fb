import { Button, StatusBadge, Table, Text, toast } from "@medusajs/ui"
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query"
import type { ReactNode } from "react"
import type { DustDeliveries } from "../../types"
import { dust } from "../lib/dust"
import { moment, shown } from "../lib/format"
import { useTexts, type Translate } from "../lib/texts"
import { Figures } from "./figures"
import { Loaded, Nothing } from "./states"

const REFRESH_MS = 15_000

/** The plugin's outbox: what is still on its way from Medusa to the bridge. It answers while the bridge is away. */
export function Deliveries(): ReactNode {
  const t = useTexts()
  const query = useQuery({
    queryKey: ["dust", "deliveries"],
    queryFn: () => dust<DustDeliveries>("/deliveries"),
    refetchInterval: REFRESH_MS,
  })
  return (
    <Loaded query={query}>
      {(deliveries) => (
        <div className="divide-y">
          <Figures
            figures={[
              { label: t("deliveries.waiting"), value: shown(deliveries.waiting), hint: since(deliveries, t) },
              { label: t("deliveries.rejected"), value: shown(deliveries.rejected), hint: t("deliveries.rejectedHint") },
              { label: t("deliveries.delivered"), value: shown(deliveries.delivered), hint: t("deliveries.deliveredHint") },
            ]}
          />
          {deliveries.undelivered.length ? (
            <Table>
              <Table.Body>
                {deliveries.undelivered.map((event) => (
                  <Row key={event.id} event={event} />
                ))}
              </Table.Body>
            </Table>
          ) : (
            <Nothing>{t("deliveries.none")}</Nothing>
          )}
        </div>
      )}
    </Loaded>
  )
}

function since({ oldest_waiting_at: oldest }: DustDeliveries, t: Translate): string | undefined {
  return oldest ? t("deliveries.since", { date: moment(oldest) }) : undefined
}

function Row({ event }: { event: DustDeliveries["undelivered"][number] }): ReactNode {
  const t = useTexts()
  const client = useQueryClient()
  const send = useMutation({
    mutationFn: () => dust(`/deliveries/${event.id}/retry`, "POST"),
    onSuccess: () => client.invalidateQueries({ queryKey: ["dust", "deliveries"] }),
    onError: (error) => toast.error(error.message),
  })
  return (
    <Table.Row>
      <Table.Cell className="whitespace-nowrap">{moment(event.occurred_at)}</Table.Cell>
      <Table.Cell>
        <StatusBadge color={event.state === "rejected" ? "red" : "orange"}>{event.type}</StatusBadge>
      </Table.Cell>
      <Table.Cell className="w-full">
        <Text size="small" className="break-words py-2">
          {event.last_error ?? t("deliveries.onItsWay")}
          {event.state === "waiting" &&
            event.attempts > 0 &&
            `. ${t("deliveries.attempt", { number: event.attempts + 1, date: moment(event.next_attempt_at) })}`}
        </Text>
      </Table.Cell>
      <Table.Cell>
        <Button className="whitespace-nowrap" size="small" variant="secondary" isLoading={send.isPending} onClick={() => send.mutate()}>
          {t("deliveries.send")}
        </Button>
      </Table.Cell>
    </Table.Row>
  )
}
