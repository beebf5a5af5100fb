import { Button, Drawer, Text } from "@medusajs/ui"
import { useQuery } from "@tanstack/react-query"
import type { ReactNode } from "react"
import type { DustEventDetail } from "../../../types"
import { dust } from "../../lib/dust"
import { readableBody } from "../../lib/events"
import { moment } from "../../lib/format"
import { useTexts } from "../../lib/texts"
import { Loaded } from "../states"
import { Reason } from "./reason"

/** One event: its body as it came, and its failed attempts. */
export function EventDrawer({ eventId }: { eventId: string }): ReactNode {
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
          <Drawer.Title>{t("events.event")}</Drawer.Title>
        </Drawer.Header>
        <Drawer.Body className="overflow-y-auto">
          <Detail eventId={eventId} />
        </Drawer.Body>
      </Drawer.Content>
    </Drawer>
  )
}

/** Asked for when the drawer opens, and not before. */
function Detail({ eventId }: { eventId: string }): ReactNode {
  const t = useTexts()
  const path = `/events/${eventId}`
  const query = useQuery({ queryKey: ["dust", path], queryFn: () => dust<DustEventDetail>(path) })
  return (
    <Loaded query={query}>
      {(event) => (
        <div className="flex flex-col gap-y-4">
          <Text size="small">{[event.type, event.id, moment(event.received_at)].join(" · ")}</Text>
          <Text size="small" weight="plus">
            {t("events.attempts")}
          </Text>
          {event.history.length === 0 && <Text size="small">{t("events.noAttempts")}</Text>}
          {event.history.map((attempt, index) => (
            <div key={index}>
              <Text size="small">{[moment(attempt.at), t(`events.outcomes.${attempt.outcome}`)].join(" · ")}</Text>
              {attempt.reason && <Reason code={attempt.error_code} reason={attempt.reason} />}
              <Text size="xsmall" className="text-ui-fg-muted">
                {[attempt.error_code, attempt.actor].filter(Boolean).join(" · ")}
              </Text>
            </div>
          ))}
          <Text size="small" weight="plus">
            {t("events.body")}
          </Text>
          <pre className="bg-ui-bg-subtle txt-compact-small overflow-x-auto rounded-lg p-4">{readableBody(event.body)}</pre>
        </div>
      )}
    </Loaded>
  )
}
