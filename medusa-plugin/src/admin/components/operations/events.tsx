import { Button, Checkbox, Select, StatusBadge, Table, Text, toast } from "@medusajs/ui"
import { useMutation, useQueryClient } from "@tanstack/react-query"
import { useState, type ComponentProps, type ReactNode } from "react"
import { Link } from "react-router-dom"
import type { DustEvent, DustEventList } from "../../../types"
import { dust, errorAt, messageOf } from "../../lib/dust"
import { eventsPath, type EventQuery } from "../../lib/events"
import { moment } from "../../lib/format"
import { nameOf, useOrderNumbers, usePeople } from "../../lib/people"
import { useTexts } from "../../lib/texts"
import { DateField, Field, TextField } from "../field"
import { MoreButton, usePages } from "../page-of"
import { Loaded, Nothing } from "../states"
import { Causes } from "./causes"
import { EventDrawer } from "./event-drawer"
import { Reason } from "./reason"
import { WideTable } from "../wide-table"

const COLORS: Record<DustEvent["state"], ComponentProps<typeof StatusBadge>["color"]> = {
  pending: "orange",
  handled: "green",
  failed: "red",
  ignored: "grey",
}
const PAGES = [
  ["order_", "orders"],
  ["cus_", "customers"],
  ["prod_", "products"],
]
const REFRESH_MS = 15_000
const STATES: DustEvent["state"][] = ["failed", "pending", "handled", "ignored"]

/** The bridge's inbox: the events that Medusa has sent, and their state. */
export function Events(): ReactNode {
  const t = useTexts()
  const [query, setQuery] = useState<EventQuery>({ state: "failed", type: "", subject: "", since: null })
  const [selected, setSelected] = useState<string[]>([])
  const pages = usePages<DustEventList>(eventsPath(query), REFRESH_MS)
  const rows = pages.data?.pages.flatMap((page) => page.events) ?? []
  const names = useNames(rows.flatMap((event) => event.subject ?? []))
  // What was pasted as an id is something else, such as an e-mail address.
  const wrong = errorAt(pages.error, "subject")
  const change = (changed: Partial<EventQuery>): void => {
    setSelected([])
    setQuery({ ...query, ...changed })
  }
  return (
    <div className="divide-y">
      <Filters query={query} change={change} wrong={wrong} />
      {query.state === "failed" && <Causes />}
      {selected.length > 0 && <RetrySelected ids={selected} done={() => setSelected([])} />}
      {!wrong && (
        <Loaded query={pages}>
          {() => {
            if (rows.length === 0) return <Nothing>{t("events.none", { state: t(`events.${query.state}`) })}</Nothing>
            return (
              <>
                <WideTable>
                  <Table.Body>
                    {rows.map((event) => (
                      <Row
                        key={event.id}
                        event={event}
                        name={names[event.subject ?? ""]}
                        selected={selected.includes(event.id)}
                        select={(on) => setSelected(on ? [...selected, event.id] : selected.filter((id) => id !== event.id))}
                      />
                    ))}
                  </Table.Body>
                </WideTable>
                <MoreButton pages={pages} />
              </>
            )
          }}
        </Loaded>
      )}
    </div>
  )
}

type FiltersProps = { query: EventQuery; change: (changed: Partial<EventQuery>) => void; wrong?: string }

function Filters({ query, change, wrong }: FiltersProps): ReactNode {
  const t = useTexts()
  return (
    <div className="flex flex-col gap-y-4 px-6 py-4">
      <Text size="small" className="text-ui-fg-subtle">
        {t("events.intro")}
      </Text>
      <div className="flex flex-wrap items-end gap-4">
        <Field label={t("events.state")}>
          <Select size="small" value={query.state} onValueChange={(state) => change({ state: state as DustEvent["state"] })}>
            <Select.Trigger className="w-32" aria-label={t("events.state")}>
              <Select.Value />
            </Select.Trigger>
            <Select.Content>
              {STATES.map((state) => (
                <Select.Item key={state} value={state}>
                  {t(`events.${state}`)}
                </Select.Item>
              ))}
            </Select.Content>
          </Select>
        </Field>
        <TextField label={t("events.type")} placeholder="order.placed" value={query.type} onChange={(type) => change({ type })} />
        <TextField
          label={t("events.subject")}
          placeholder="order_…"
          error={wrong && t("events.subjectWrong")}
          value={query.subject}
          onChange={(subject) => change({ subject })}
        />
        <DateField label={t("events.since")} granularity="minute" value={query.since} onChange={(since) => change({ since })} />
      </div>
    </div>
  )
}

/** Retries a failed event. Repeating it is harmless. */
function useRetry(ids: string[], done?: () => void): { retry: () => void; isPending: boolean } {
  const t = useTexts()
  const client = useQueryClient()
  const { mutate, isPending } = useMutation({
    mutationFn: () => Promise.all(ids.map((id) => dust<{ retried: boolean }>(`/events/${id}/retry`, "POST"))),
    onSuccess: (answers) => {
      toast.success(t("events.retried", { count: answers.filter(({ retried }) => retried).length }))
      done?.()
    },
    // Some may have been retried when one could not be.
    onSettled: () => client.invalidateQueries({ queryKey: ["dust"] }),
    onError: (error) => toast.error(messageOf(error, t)),
  })
  return { retry: () => mutate(), isPending }
}

function RetrySelected({ ids, done }: { ids: string[]; done: () => void }): ReactNode {
  const t = useTexts()
  const { retry, isPending } = useRetry(ids, done)
  return (
    <div className="flex justify-end px-6 py-4">
      <Button size="small" isLoading={isPending} onClick={retry}>
        {t("events.retrySelected", { count: ids.length })}
      </Button>
    </div>
  )
}

/** The names of customers and the numbers of orders among these ids, by id. */
function useNames(ids: string[]): Record<string, string> {
  const people = usePeople(ids.filter((id) => id.startsWith("cus_")))
  const numbers = useOrderNumbers(ids.filter((id) => id.startsWith("order_")))
  return { ...numbers, ...Object.fromEntries(Object.entries(people).map(([id, person]) => [id, nameOf(person)])) }
}

type RowProps = { event: DustEvent; name?: string; selected: boolean; select: (on: boolean) => void }

function Row({ event, name, selected, select }: RowProps): ReactNode {
  const t = useTexts()
  const { retry, isPending } = useRetry([event.id])
  const failed = event.state === "failed"
  return (
    <Table.Row>
      <Table.Cell className="whitespace-nowrap">
        <div className="flex items-center gap-x-3">
          {failed && (
            <Checkbox checked={selected} onCheckedChange={(on) => select(on === true)} aria-label={t("events.select", { id: event.id })} />
          )}
          {moment(event.received_at)}
        </div>
      </Table.Cell>
      <Table.Cell>
        <StatusBadge color={COLORS[event.state]}>{event.type}</StatusBadge>
      </Table.Cell>
      <Table.Cell className="w-full">
        <div className="whitespace-normal py-2">
          {event.reason && <Reason code={event.error_code} reason={event.reason} />}
          <Subject id={event.subject} name={name} />
        </div>
      </Table.Cell>
      <Table.Cell>
        <div className="flex items-center justify-end gap-x-2">
          <EventDrawer eventId={event.id} />
          {failed && (
            <Button size="small" variant="secondary" isLoading={isPending} onClick={retry}>
              {t("events.retry")}
            </Button>
          )}
        </div>
      </Table.Cell>
    </Table.Row>
  )
}

/** What the event is about, with a link to its page. The id stands beside the name, as the filter asks for it. */
function Subject({ id, name }: { id: string | null; name?: string }): ReactNode {
  const page = PAGES.find(([prefix]) => id?.startsWith(prefix))?.[1]
  if (!page) return <Text size="xsmall">{id}</Text>
  return (
    <span className="txt-compact-xsmall text-ui-fg-muted">
      <Link className="text-ui-fg-base underline" to={`/${page}/${id}`}>
        {name ?? id}
      </Link>
      {name && ` ${id}`}
    </span>
  )
}
