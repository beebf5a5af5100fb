import { Alert } from "@medusajs/ui"
import { useQuery } from "@tanstack/react-query"
import { useState, type ReactNode } from "react"
import type { DustLiability, DustMovements } from "../../../types"
import { dust } from "../../lib/dust"
import { amount, moment, shown, signed } from "../../lib/format"
import { kindName, lastYear, monthOf } from "../../lib/report-texts"
import { useTexts } from "../../lib/texts"
import { BarChart } from "../bar-chart"
import { DateField } from "../field"
import { Figures } from "../figures"
import { Loaded } from "../states"
import { Report } from "./report"

/** What is owed to customers, now or at a past moment. */
export function LiabilityReport(): ReactNode {
  const t = useTexts()
  const [at, setAt] = useState<Date | null>(null)
  return (
    <Report<DustLiability, [string, number]>
      name="liability"
      query={at ? { at: at.toISOString() } : {}}
      rowsOf={({ movements }) => Object.entries(movements).filter(([, points]) => points)}
      columns={() => [
        { label: t("reports.movement"), value: ([kind]) => kindName(kind, t), text: true },
        { label: t("reports.points"), value: ([, points]) => signed(points) },
      ]}
      empty={t("reports.noMovements")}
      figures={(report) => (
        <>
          <LiabilityFigures report={report} />
          <LiabilityChart />
        </>
      )}
    >
      <DateField label={t("reports.at")} hint={t("reports.atHint")} granularity="minute" value={at} onChange={setAt} />
    </Report>
  )
}

function LiabilityFigures({ report }: { report: DustLiability }): ReactNode {
  const t = useTexts()
  return (
    <>
      {!report.adds_up && (
        <div className="px-6">
          <Alert variant="error">{t("reports.doesNotAddUp")}</Alert>
        </div>
      )}
      <Figures
        figures={[
          { label: t("reports.outstanding"), value: shown(report.outstanding), hint: moment(report.at) },
          { label: t("reports.worth"), value: worth(report.value), hint: t("reports.worthHint") },
          { label: t("reports.owed"), value: shown(report.owed_by_customers), hint: t("reports.owedHint") },
          { label: t("members.held"), value: shown(report.held) },
          { label: t("members.pending"), value: shown(report.pending) },
          { label: t("reports.escrow"), value: shown(report.escrow) },
          { label: t("reports.customers"), value: shown(report.customers) },
        ]}
      />
    </>
  )
}

/** What was owed at the end of each month of the last year. The movements' tab has the same figures as a table. */
function LiabilityChart(): ReactNode {
  const t = useTexts()
  const search = new URLSearchParams(lastYear()).toString()
  const path = "/reports/movements"
  const months = useQuery({
    queryKey: ["dust", path, search],
    queryFn: () => dust<DustMovements>(`${path}?${search}`),
  })
  return (
    <Loaded query={months}>
      {({ periods }) => (
        <BarChart
          label={t("chart.closing")}
          periods={periods.map(({ start }) => monthOf(start))}
          series={[{ label: t("reports.closing"), values: periods.map(({ closing }) => closing) }]}
        />
      )}
    </Loaded>
  )
}

function worth(amounts: Record<string, string>): string {
  return Object.entries(amounts).map(([code, value]) => `${amount(value)} ${code.toUpperCase()}`).join(" / ") || "–"
}
