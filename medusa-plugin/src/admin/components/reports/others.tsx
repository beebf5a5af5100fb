import type { ReactNode } from "react"
import type { DustBreakage, DustCloses, DustExpiring, DustForecasts } from "../../../types"
import { moment, shown } from "../../lib/format"
import { monthOf, percent } from "../../lib/report-texts"
import { useTexts } from "../../lib/texts"
import { Figures } from "../figures"
import { OrderList } from "../links"
import { MoreButton, usePages } from "../page-of"
import { Loaded, Nothing } from "../states"
import { Head, Report, Rows, type Column } from "./report"

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
  const pages = usePages<DustCloses>("/reports/closes?limit=100")
  const columns: Column<DustCloses["closes"][number]>[] = [
    { label: t("reports.day"), value: ({ day }) => day, text: true },
    { label: t("reports.outstanding"), value: ({ outstanding }) => shown(outstanding) },
    { label: t("members.pending"), value: ({ pending }) => shown(pending) },
    { label: t("reports.escrow"), value: ({ escrow }) => shown(escrow) },
    { label: t("reports.digest"), value: ({ digest }) => digest.slice(0, 16), text: true },
  ]
  return (
    <>
      <Head name="closes" />
      <Loaded query={pages}>
        {({ pages: loaded }) => {
          const closes = loaded.flatMap((page) => page.closes)
          return (
            <>
              {closes.length ? <Rows rows={closes} columns={columns} /> : <Nothing>{t("reports.noCloses")}</Nothing>}
              <MoreButton pages={pages} />
            </>
          )
        }}
      </Loaded>
    </>
  )
}

/** How many orders earned what the last quote of their cart said, and why others did not. */
export function ForecastsReport(): ReactNode {
  const t = useTexts()
  return (
    <Report<DustForecasts, Outcome>
      name="forecasts"
      rowsOf={(report) => OUTCOMES.map((name) => ({ name, orders: report[name] }))}
      columns={() => [
        { label: t("reports.outcome"), value: ({ name }) => t(`reports.forecast_${name}`), text: true },
        { label: t("reports.orders"), value: ({ orders }) => shown(orders) },
        { label: t("reports.meaning"), value: ({ name }) => t(`reports.forecast_${name}_hint`), text: true },
      ]}
      empty={t("reports.noMovements")}
      figures={({ orders, since, unexplained_orders: unexplained }) => (
        <>
          <Figures
            figures={[
              { label: t("reports.orders"), value: shown(orders), hint: t("reports.since", { date: moment(since) }) },
            ]}
          />
          <OrderList text={t("reports.unexplained")} orderIds={unexplained} />
        </>
      )}
    />
  )
}

const OUTCOMES = ["kept", "cart_changed", "rules_changed", "other_orders", "unexplained"] as const
type Outcome = { name: (typeof OUTCOMES)[number]; orders: number }
