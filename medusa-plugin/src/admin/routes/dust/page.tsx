import { defineRouteConfig } from "@medusajs/admin-sdk"
import { Sparkles } from "@medusajs/icons"
import { Container, Heading, Tabs, Text } from "@medusajs/ui"
import type { ReactNode } from "react"
import { useSearchParams } from "react-router-dom"
import { Deliveries } from "../../components/deliveries"
import { Events } from "../../components/operations/events"
import { OutgoingWebhooks } from "../../components/operations/outgoing-webhooks"
import { OverviewFigures } from "../../components/overview"
import { Redemptions } from "../../components/redemptions"

const TABS = [
  { name: "redemptions", label: "Redemptions", content: <Redemptions /> },
  { name: "events", label: "Events", content: <Events /> },
  { name: "outgoing", label: "Outgoing webhooks", content: <OutgoingWebhooks /> },
  { name: "deliveries", label: "Deliveries", content: <Deliveries /> },
]

const DustPage = (): ReactNode => {
  // In the address, so that a tab can be bookmarked and shared.
  const [search, setSearch] = useSearchParams()
  return (
    <div className="flex flex-col gap-y-3">
      <Container className="divide-y p-0">
        <div className="px-6 py-4">
          <Heading>Dust</Heading>
          <Text size="small" className="text-ui-fg-subtle">
            Where the loyalty programme stands
          </Text>
        </div>
        <OverviewFigures />
      </Container>
      <Container className="p-0">
        <Tabs value={search.get("tab") ?? TABS[0].name} onValueChange={(tab) => setSearch({ tab }, { replace: true })}>
          <div className="border-b px-6 py-4">
            <Tabs.List>
              {TABS.map(({ name, label }) => (
                <Tabs.Trigger key={name} value={name}>
                  {label}
                </Tabs.Trigger>
              ))}
            </Tabs.List>
          </div>
          {TABS.map(({ name, content }) => (
            <Tabs.Content key={name} value={name}>
              {content}
            </Tabs.Content>
          ))}
        </Tabs>
      </Container>
    </div>
  )
}

export const config = defineRouteConfig({ label: "Dust", icon: Sparkles })

export default DustPage
