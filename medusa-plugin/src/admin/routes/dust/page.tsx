import { defineRouteConfig } from "@medusajs/admin-sdk"
import { Sparkles } from "@medusajs/icons"
import type { ReactNode } from "react"
import { Alerts } from "../../components/alerts"
import { Deliveries } from "../../components/deliveries"
import { Events } from "../../components/operations/events"
import { OutgoingWebhooks } from "../../components/operations/outgoing-webhooks"
import { OverviewFigures } from "../../components/overview"
import { Redemptions } from "../../components/redemptions"
import { TabsPage } from "../../components/tabs-page"
import { useTexts } from "../../lib/texts"

const DustPage = (): ReactNode => {
  const t = useTexts()
  return (
    <TabsPage
      title={t("general.dust")}
      hint={t("overview.hint")}
      tabs={[
        { name: "redemptions", label: t("overview.tabs.redemptions"), content: <Redemptions /> },
        { name: "events", label: t("overview.tabs.events"), content: <Events /> },
        { name: "outgoing", label: t("overview.tabs.outgoing"), content: <OutgoingWebhooks /> },
        { name: "deliveries", label: t("overview.tabs.deliveries"), content: <Deliveries /> },
      ]}
    >
      <Alerts />
      <OverviewFigures />
    </TabsPage>
  )
}

export const config = defineRouteConfig({ label: "Dust", icon: Sparkles })

export default DustPage
