import { Alert, DatePicker } from "@medusajs/ui"
import { useQuery } from "@tanstack/react-query"
import { useState, type ReactNode } from "react"
import type { DustLiability } from "../../../types"
import { dust } from "../../lib/dust"
import { moment, shown, signed } from "../../lib/format"
import { kindName } from "../../lib/report-texts"
import { useTexts } from "../../lib/texts"
import { Field } from "../field"
import { Figures } from "../figures"
import { Loaded } from "../states"
import { Report } from "./report"

/** What is owed to customers, now or at a past moment. */
export function LiabilityReport(): ReactNode {
  const t = useTexts()
  const [at, setAt] = useState<Date | null>(null)
  const query: Record<string, string> = at ? { at: at.toISOString() } : {}
  return (
    <Report<DustLiability, [string, number]>
      name="liability"
      query={query}
      rowsOf={({ movements }) => Object.entries(movements).filter(([, points]) => points)}
      columns={() => [
        { label: t("reports.movement"), value: ([kind]) => kindName(kind, t), text: true },
        { label: t("reports.points"), value: ([, points]) => signed(points) },
      ]}
      empty={t("reports.noMovements")}
      figures={<LiabilityFigures query={query} />}
    >
      <Field label={t("reports.at")} hint={t("reports.atHint")}>
        <DatePicker size="small" granularity="minute" aria-label={t("reports.at")} value={at} onChange={setAt} />
      </Field>
    </Report>
  )
}

function LiabilityFigures({ query }: { query: Record<string, string> }): ReactNode {
  const t = useTexts()
  const search = new URLSearchParams(query).toString()
  const report = useQuery({
    queryKey: ["dust", "/reports/liability", search],
    queryFn: () => dust<DustLiability>(`/reports/liability?${search}`),
  })
  return (
    <Loaded query={report}>
      {(found) => (
        <>
          {!found.adds_up && (
            <div className="px-6">
              <Alert variant="error">{t("reports.doesNotAddUp")}</Alert>
            </div>
          )}
          <Figures
            figures={[
              { label: t("reports.outstanding"), value: shown(found.outstanding), hint: moment(found.at) },
              { label: t("reports.worth"), value: worth(found.value), hint: t("reports.worthHint") },
              { label: t("reports.owed"), value: shown(found.owed_by_customers), hint: t("reports.owedHint") },
              { label: t("members.held"), value: shown(found.held) },
              { label: t("members.pending"), value: shown(found.pending) },
              { label: t("reports.escrow"), value: shown(found.escrow) },
              { label: t("reports.customers"), value: shown(found.customers) },
            ]}
          />
        </>
      )}
    </Loaded>
  )
}

function worth(value: Record<string, string>): string {
  return Object.entries(value).map(([code, amount]) => `${amount} ${code.toUpperCase()}`).join(" / ") || "–"
}
