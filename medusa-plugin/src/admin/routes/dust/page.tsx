import { defineRouteConfig } from "@medusajs/admin-sdk"
import { Sparkles } from "@medusajs/icons"
import { Container, Heading, Tabs, Text } from "@medusajs/ui"
import type { ReactNode } from "react"
import { useSearchParams } from "react-router-dom"
import { Alerts } from "../../components/alerts"
import { Deliveries } from "../../components/deliveries"
import { Events } from "../../components/operations/events"
import { OutgoingWebhooks } from "../../components/operations/outgoing-webhooks"
import { OverviewFigures } from "../../components/overview"
import { Redemptions } from "../../components/redemptions"
import { useTexts } from "../../lib/texts"

const TABS = [
  { name: "redemptions", content: <Redemptions /> },
  { name: "events", content: <Events /> },
  { name: "outgoing", content: <OutgoingWebhooks /> },
  { name: "deliveries", content: <Deliveries /> },
]

const DustPage = (): ReactNode => {
  const t = useTexts()
  // In the address, so that a tab can be bookmarked and shared.
  const [search, setSearch] = useSearchParams()
  return (
    <div className="flex flex-col gap-y-3">
      <Container className="divide-y p-0">
        <div className="px-6 py-4">
          <Heading>{t("general.dust")}</Heading>
          <Text size="small" className="text-ui-fg-subtle">
            {t("overview.hint")}
          </Text>
        </div>
        <Alerts />
        <OverviewFigures />
      </Container>
      <Container className="p-0">
        <Tabs value={search.get("tab") ?? TABS[0].name} onValueChange={(tab) => setSearch({ tab }, { replace: true })}>
          <div className="border-b px-6 py-4">
            <Tabs.List>
              {TABS.map(({ name }) => (
                <Tabs.Trigger key={name} value={name}>
                  {t(`overview.tabs.${name}`)}
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
