import { defineRouteConfig } from "@medusajs/admin-sdk"
import type { ReactNode } from "react"
import { LiabilityReport } from "../../../components/reports/liability"
import { MarketingReport } from "../../../components/reports/marketing"
import { MovementsReport } from "../../../components/reports/movements"
import { BreakageReport, ClosesReport, ExpiringReport, ForecastsReport } from "../../../components/reports/others"
import { TabsPage } from "../../../components/tabs-page"
import { useTexts } from "../../../lib/texts"

const ReportsPage = (): ReactNode => {
  const t = useTexts()
  return (
    <TabsPage
      title={t("reports.title")}
      hint={t("reports.hint")}
      tabs={[
        { name: "liability", label: t("reports.liability"), content: <LiabilityReport /> },
        { name: "movements", label: t("reports.movements"), content: <MovementsReport /> },
        { name: "expiring", label: t("reports.expiring"), content: <ExpiringReport /> },
        { name: "breakage", label: t("reports.breakage"), content: <BreakageReport /> },
        { name: "closes", label: t("reports.closes"), content: <ClosesReport /> },
        { name: "marketing", label: t("marketing.title"), content: <MarketingReport /> },
        { name: "forecasts", label: t("reports.forecasts"), content: <ForecastsReport /> },
      ]}
    />
  )
}

export const config = defineRouteConfig({ label: "Reports", translationNs: "dust" })

export default ReportsPage
