import type { ReactNode } from "react"
import type { DustBreakage, DustCloses, DustExpiring, DustForecasts } from "../../../types"
import { moment, shown } from "../../lib/format"
import { monthOf, percent } from "../../lib/report-texts"
import { useTexts } from "../../lib/texts"
import { Figures } from "../figures"
import { Report } from "./report"

/** What expires in which month unless it is spent. */
export function ExpiringReport(): ReactNode {
  const t = useTexts()
  return (
    <Report<DustExpiring, DustExpiring["months"][number]>
      name="expiring"
      rowsOf={({ months }) => months}
      columns={() => [
        { label: t("reports.month"), value: ({ month }) => (month ? monthOf(month) : t("general.never")), text: true },
        { label: t("reports.points"), value: ({ dust: points }) => shown(points) },
        { label: t("members.held"), value: ({ held }) => shown(held) },
        { label: t("members.pending"), value: ({ pending }) => shown(pending) },
        { label: t("reports.customers"), value: ({ customers }) => shown(customers) },
      ]}
      empty={t("reports.noPoints")}
    />
  )
}

/** What happened to the points of each month. */
export function BreakageReport(): ReactNode {
  const t = useTexts()
  const columns = ["issued", "spent", "taken_back", "expired", "other", "remaining"] as const
  return (
    <Report<DustBreakage, DustBreakage["months"][number]>
      name="breakage"
      rowsOf={({ months }) => [...months].reverse()}
      columns={() => [
        { label: t("reports.month"), value: ({ month }) => monthOf(month), text: true },
        ...columns.map((key) => ({ label: t(`reports.cohort_${key}`), value: (row: DustBreakage["months"][number]) => shown(row[key]) })),
        { label: t("reports.breakage_share"), value: ({ breakage }) => percent(breakage) },
      ]}
      empty={t("reports.noPoints")}
    />
  )
}

/** What was owed at the end of each day, with the digest of the ledger. */
export function ClosesReport(): ReactNode {
  const t = useTexts()
  return (
    <Report<DustCloses, DustCloses["closes"][number]>
      name="closes"
      query={{ limit: "100" }}
      rowsOf={({ closes }) => closes}
      columns={() => [
        { label: t("reports.day"), value: ({ day }) => day, text: true },
        { label: t("reports.outstanding"), value: ({ outstanding }) => shown(outstanding) },
        { label: t("members.pending"), value: ({ pending }) => shown(pending) },
        { label: t("reports.escrow"), value: ({ escrow }) => shown(escrow) },
        { label: t("reports.digest"), value: ({ digest }) => digest.slice(0, 16), text: true },
      ]}
      empty={t("reports.noCloses")}
    />
  )
}

/** How many orders earned what the last quote of their cart said, and why others did not. */
export function ForecastsReport(): ReactNode {
  const t = useTexts()
  return (
    <Report<DustForecasts, Outcome>
      name="forecasts"
      rowsOf={(found) => OUTCOMES.map((name) => ({ name, orders: found[name] }))}
      columns={() => [
        { label: t("reports.outcome"), value: ({ name }) => t(`reports.forecast_${name}`), text: true },
        { label: t("reports.orders"), value: ({ orders }) => shown(orders) },
        { label: t("reports.meaning"), value: ({ name }) => t(`reports.forecast_${name}_hint`), text: true },
      ]}
      empty={t("reports.noMovements")}
      figures={({ orders, since }) => (
        <Figures
          figures={[
            { label: t("reports.orders"), value: shown(orders), hint: t("reports.since", { date: moment(since) }) },
          ]}
        />
      )}
    />
  )
}

const OUTCOMES = ["kept", "cart_changed", "rules_changed", "other_orders", "unexplained"] as const
type Outcome = { name: (typeof OUTCOMES)[number]; orders: number }
