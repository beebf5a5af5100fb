import { Select } from "@medusajs/ui"
import { useId, useState, type ReactNode } from "react"
import type { DustMovements } from "../../../types"
import { shown } from "../../lib/format"
import { inAndOut, kindName, kindsOf, lastYear, monthOf, movedBy } from "../../lib/report-texts"
import { useTexts } from "../../lib/texts"
import { BarChart } from "../bar-chart"
import { Field } from "../field"
import { Report } from "./report"

type Period = DustMovements["periods"][number]

/** Opening balance, movements by kind, and closing balance: the last 30 days, or the last year by month. */
export function MovementsReport(): ReactNode {
  const t = useTexts()
  const id = useId()
  const [by, setBy] = useState("day")
  return (
    <Report<DustMovements, Period>
      name="movements"
      query={by === "month" ? lastYear() : { by }}
      rowsOf={({ periods }) => [...periods].reverse()}
      columns={(periods) => [
        { label: t("reports.period"), value: ({ start }) => (by === "month" ? monthOf(start) : start), text: true },
        { label: t("reports.opening"), value: ({ opening }) => shown(opening) },
        ...kindsOf(periods).map((kind) => ({ label: kindName(kind, t), value: movedBy(kind) })),
        { label: t("reports.closing"), value: ({ closing }) => shown(closing) },
      ]}
      empty={t("reports.noMovements")}
      figures={({ periods }) => (
        <BarChart
          label={t("chart.movements")}
          periods={periods.map(({ start }) => (by === "month" ? monthOf(start) : start.slice(5)))}
          series={[
            { label: t("chart.cameIn"), values: periods.map((period) => inAndOut(period).cameIn) },
            { label: t("chart.wentOut"), values: periods.map((period) => inAndOut(period).wentOut) },
          ]}
        />
      )}
    >
      <Field label={t("reports.by")} id={id}>
        <Select size="small" value={by} onValueChange={setBy}>
          <Select.Trigger id={id} className="w-48">
            <Select.Value />
          </Select.Trigger>
          <Select.Content>
            <Select.Item value="day">{t("reports.byDay")}</Select.Item>
            <Select.Item value="month">{t("reports.byMonth")}</Select.Item>
          </Select.Content>
        </Select>
      </Field>
    </Report>
  )
}
