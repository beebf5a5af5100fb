import { Button, Select, StatusBadge, Table, Text, toast, usePrompt } from "@medusajs/ui"
import { useMutation, useQueryClient } from "@tanstack/react-query"
import { useState, type ReactNode } from "react"
import type { DustDeliveries } from "../../types"
import { deliveriesPath, filtersOf, type DeliveriesQuery } from "../lib/deliveries"
import { dust, messageOf } from "../lib/dust"
import { moment, numbered, shown } from "../lib/format"
import { useTexts, type Translate } from "../lib/texts"
import { Field, TextField } from "./field"
import { Figures } from "./figures"
import { MoreButton, usePages } from "./page-of"
import { Loaded, Nothing } from "./states"
import { WideTable } from "./wide-table"

// An event is sent after the answer to a retry, so the list is read again by itself.
const REFRESH_MS = 5_000
const STATES: DeliveriesQuery["state"][] = ["all", "waiting", "rejected"]

/** The plugin's outbox: what is still on its way from Medusa to the bridge. It answers while the bridge is away. */
export function Deliveries(): ReactNode {
  const t = useTexts()
  const [query, setQuery] = useState<DeliveriesQuery>({ state: "all", type: "" })
  const pages = usePages<DustDeliveries>(deliveriesPath(query), REFRESH_MS)
  const first = pages.data?.pages[0]
  // Until the response to new filters arrives, the number belongs to the old ones.
  const matching = pages.isPlaceholderData ? 0 : (first?.found ?? 0)
  return (
    <div className="divide-y">
      {first && (
        <Figures
          figures={[
            { label: t("deliveries.waiting"), value: shown(first.waiting), hint: since(first, t) },
            { label: t("deliveries.rejected"), value: shown(first.rejected), hint: t("deliveries.rejectedHint") },
            { label: t("deliveries.delivered"), value: shown(first.delivered), hint: t("deliveries.deliveredHint") },
          ]}
        />
      )}
      <Filters query={query} change={setQuery} matching={matching} />
      <Loaded query={pages}>
        {({ pages: loaded }) => {
          const events = loaded.flatMap((page) => page.undelivered)
          return (
            <>
              {events.length ? <Events events={events} /> : <Nothing>{t(nothing(loaded[0]))}</Nothing>}
              <MoreButton pages={pages} />
            </>
          )
        }}
      </Loaded>
    </div>
  )
}

function since({ oldest_waiting_at: oldest }: DustDeliveries, t: Translate): string | undefined {
  return oldest ? t("deliveries.since", { date: moment(oldest) }) : undefined
}

/** All is delivered, or the filters leave nothing. */
function nothing({ waiting, rejected }: DustDeliveries): string {
  return waiting + rejected === 0 ? "deliveries.none" : "deliveries.noneFound"
}

type FiltersProps = { query: DeliveriesQuery; change: (query: DeliveriesQuery) => void; matching: number }

function Filters({ query, change, matching }: FiltersProps): ReactNode {
  const t = useTexts()
  return (
    <div className="flex flex-wrap items-end gap-4 px-6 py-4">
      <Field label={t("deliveries.state")}>
        <Select size="small" value={query.state} onValueChange={(state) => change({ ...query, state: state as DeliveriesQuery["state"] })}>
          <Select.Trigger className="w-36" aria-label={t("deliveries.state")}>
            <Select.Value />
          </Select.Trigger>
          <Select.Content>
            {STATES.map((state) => (
              <Select.Item key={state} value={state}>
                {t(`deliveries.states.${state}`)}
              </Select.Item>
            ))}
          </Select.Content>
        </Select>
      </Field>
      <TextField
        label={t("deliveries.event")}
        placeholder="order.placed"
        value={query.type}
        onChange={(type) => change({ ...query, type })}
      />
      {matching > 0 && <SendAll query={query} matching={matching} />}
    </div>
  )
}

function useSend(path: string, body?: unknown): { send: () => void; isPending: boolean } {
  const t = useTexts()
  const client = useQueryClient()
  const { mutate, isPending } = useMutation({
    mutationFn: () => dust(path, "POST", body),
    onSuccess: () => client.invalidateQueries({ queryKey: ["dust"] }),
    onError: (error) => toast.error(messageOf(error, t)),
  })
  return { send: () => mutate(), isPending }
}

function SendAll({ query, matching }: { query: DeliveriesQuery; matching: number }): ReactNode {
  const t = useTexts()
  const prompt = usePrompt()
  const { send, isPending } = useSend("/deliveries/retry", filtersOf(query))
  const ask = async (): Promise<void> => {
    const confirmed = await prompt({
      title: t("deliveries.question", numbered(matching)),
      description: t("deliveries.effect"),
      confirmText: t("deliveries.sendAll", numbered(matching)),
      cancelText: t("general.cancel"),
    })
    if (confirmed) send()
  }
  return (
    <Button size="small" variant="secondary" isLoading={isPending} onClick={() => void ask()}>
      {t("deliveries.sendAll", numbered(matching))}
    </Button>
  )
}

type Event = DustDeliveries["undelivered"][number]

function Events({ events }: { events: Event[] }): ReactNode {
  const t = useTexts()
  return (
    <WideTable>
      <Table.Header>
        <Table.Row>
          <Table.HeaderCell>{t("deliveries.when")}</Table.HeaderCell>
          <Table.HeaderCell>{t("deliveries.event")}</Table.HeaderCell>
          <Table.HeaderCell>{t("deliveries.state")}</Table.HeaderCell>
          <Table.HeaderCell className="text-right">{t("deliveries.attempts")}</Table.HeaderCell>
          <Table.HeaderCell>{t("deliveries.lastError")}</Table.HeaderCell>
          <Table.HeaderCell>{t("deliveries.nextAttempt")}</Table.HeaderCell>
          <Table.HeaderCell>
            <span className="sr-only">{t("deliveries.send")}</span>
          </Table.HeaderCell>
        </Table.Row>
      </Table.Header>
      <Table.Body>
        {events.map((event) => (
          <Row key={event.id} event={event} />
        ))}
      </Table.Body>
    </WideTable>
  )
}

function Row({ event }: { event: Event }): ReactNode {
  const t = useTexts()
  const { send, isPending } = useSend(`/deliveries/${event.id}/retry`)
  const rejected = event.state === "rejected"
  return (
    <Table.Row>
      <Table.Cell className="whitespace-nowrap">{moment(event.occurred_at)}</Table.Cell>
      <Table.Cell className="whitespace-nowrap">{event.type}</Table.Cell>
      <Table.Cell>
        <StatusBadge color={rejected ? "red" : "orange"}>{t(`deliveries.states.${event.state}`)}</StatusBadge>
      </Table.Cell>
      <Table.Cell className="text-right">{shown(event.attempts)}</Table.Cell>
      <Table.Cell className="w-full">
        <Text size="small" className="whitespace-normal break-words py-2">
          {event.last_error ?? t("deliveries.onItsWay")}
        </Text>
      </Table.Cell>
      <Table.Cell className="whitespace-nowrap">{rejected ? t("general.never") : moment(event.next_attempt_at)}</Table.Cell>
      <Table.Cell>
        <Button className="whitespace-nowrap" size="small" variant="secondary" isLoading={isPending} onClick={send}>
          {t("deliveries.send")}
        </Button>
      </Table.Cell>
    </Table.Row>
  )
}
