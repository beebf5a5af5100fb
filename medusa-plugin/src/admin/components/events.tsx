import { Button, Select, StatusBadge, Table, Text, toast } from "@medusajs/ui"
import { useMutation, useQueryClient } from "@tanstack/react-query"
import { useState, type ComponentProps, type ReactNode } from "react"
import type { DustEvent, DustEventList } from "../../types"
import { dust } from "../lib/dust"
import { moment } from "../lib/format"
import { MoreButton, usePages } from "./page-of"
import { Loaded, Nothing } from "./states"

const COLORS: Record<DustEvent["state"], ComponentProps<typeof StatusBadge>["color"]> = {
  pending: "orange",
  handled: "green",
  failed: "red",
  ignored: "grey",
}
const STATES: DustEvent["state"][] = ["failed", "pending", "handled", "ignored"]

/** The bridge's inbox: what Medusa has told it and what became of that. */
export function Events(): ReactNode {
  const [state, setState] = useState<DustEvent["state"]>("failed")
  const pages = usePages<DustEventList>(`/events?state=${state}`)
  return (
    <>
      <div className="flex items-center justify-between border-b px-6 py-4">
        <Text size="small" className="text-ui-fg-subtle">
          Events that Medusa sent to Dust. A failed event waits until its cause is fixed and it is retried.
        </Text>
        <Select size="small" value={state} onValueChange={(chosen) => setState(chosen as DustEvent["state"])}>
          <Select.Trigger className="w-32" aria-label="State">
            <Select.Value />
          </Select.Trigger>
          <Select.Content>
            {STATES.map((each) => (
              <Select.Item key={each} value={each}>
                {each}
              </Select.Item>
            ))}
          </Select.Content>
        </Select>
      </div>
      <Loaded query={pages}>
        {({ pages: loaded }) => {
          const rows = loaded.flatMap((page) => page.events)
          if (rows.length === 0) return <Nothing>No event is {state}.</Nothing>
          return (
            <>
              <Table>
                <Table.Body>{rows.map((event) => <Row key={event.id} event={event} />)}</Table.Body>
              </Table>
              <MoreButton pages={pages} />
            </>
          )
        }}
      </Loaded>
    </>
  )
}

function Row({ event }: { event: DustEvent }): ReactNode {
  const client = useQueryClient()
  const retry = useMutation({
    mutationFn: () => dust<{ message: string }>(`/events/${event.id}/retry`, "POST"),
    onSuccess: async ({ message }) => {
      toast.success(message)
      await client.invalidateQueries({ queryKey: ["dust"] })
    },
    onError: (error) => toast.error(error.message),
  })
  return (
    <Table.Row>
      <Table.Cell className="whitespace-nowrap">{moment(event.received_at)}</Table.Cell>
      <Table.Cell>
        <StatusBadge color={COLORS[event.state]}>{event.type}</StatusBadge>
      </Table.Cell>
      <Table.Cell className="w-full">
        <Text size="small" className="py-2">
          {event.reason ?? event.subject}
        </Text>
      </Table.Cell>
      <Table.Cell>
        {event.state === "failed" && (
          <Button size="small" variant="secondary" isLoading={retry.isPending} onClick={() => retry.mutate()}>
            Retry
          </Button>
        )}
      </Table.Cell>
    </Table.Row>
  )
}
