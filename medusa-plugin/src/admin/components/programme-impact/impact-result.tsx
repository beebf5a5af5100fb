import { Alert, Heading, Table, Text } from "@medusajs/ui"
import type { ReactNode } from "react"
import type { DustSimulationResult } from "../../../types"
import { shown, signed } from "../../lib/format"
import { DAYS, ruleName } from "../../lib/impact"
import { useTexts } from "../../lib/texts"
import { Figures } from "../figures"
import { ImpactChart } from "./impact-chart"
import { WideTable } from "../wide-table"

type Slice = DustSimulationResult["by_month"][number]

export function ImpactResult({ result }: { result: DustSimulationResult }): ReactNode {
  const t = useTexts()
  const unreadable = result.unreadable.length
  return (
    <>
      {unreadable > 0 && <Alert variant="warning">{t("impact.unreadable", { count: unreadable })}</Alert>}
      {result.limits_and_tiers_begin_at_nothing && <Alert variant="info">{t("impact.beginAtNothing")}</Alert>}
      {result.orders === 0 ? <Text size="small">{t("impact.noOrders", { days: DAYS })}</Text> : <Compared result={result} />}
    </>
  )
}

function Compared({ result }: { result: DustSimulationResult }): ReactNode {
  const t = useTexts()
  const { now, then, difference, orders, changed, customers } = result
  return (
    <>
      {changed === 0 && <Alert variant="info">{t("impact.same")}</Alert>}
      <Figures
        figures={[
          { label: t("impact.now"), value: shown(now), hint: t("impact.byVersion", { version: result.present_version }) },
          { label: t("impact.then"), value: shown(then), hint: t("impact.byThese") },
          { label: t("impact.difference"), value: signed(difference) },
          { label: t("impact.changed"), value: shown(changed), hint: t("impact.ofOrders", { orders: shown(orders) }) },
          { label: t("impact.customers"), value: shown(customers) },
        ]}
      />
      <ImpactChart months={result.by_month} />
      <Slices title={t("impact.byMonth")} label={t("impact.month")} slices={result.by_month} nameOf={(name) => name} />
      <Slices title={t("impact.byRule")} label={t("impact.rule")} slices={result.by_rule} nameOf={(name) => ruleName(name, t)} />
    </>
  )
}

type SlicesProps = { title: string; label: string; slices: Slice[]; nameOf: (name: string) => string }

function Slices({ title, label, slices, nameOf }: SlicesProps): ReactNode {
  const t = useTexts()
  return (
    <section className="flex flex-col gap-y-2">
      <Heading level="h2">{title}</Heading>
      <WideTable>
        <Table.Header>
          <Table.Row>
            <Table.HeaderCell>{label}</Table.HeaderCell>
            {["orders", "now", "then", "difference"].map((column) => (
              <Table.HeaderCell key={column} className="text-right">
                {t(`impact.${column}`)}
              </Table.HeaderCell>
            ))}
          </Table.Row>
        </Table.Header>
        <Table.Body>
          {slices.map((slice) => (
            <Table.Row key={slice.name}>
              <Table.Cell>{nameOf(slice.name)}</Table.Cell>
              <Table.Cell className="text-right">{shown(slice.orders)}</Table.Cell>
              <Table.Cell className="text-right">{shown(slice.now)}</Table.Cell>
              <Table.Cell className="text-right">{shown(slice.then)}</Table.Cell>
              <Table.Cell className="text-right">{signed(slice.difference)}</Table.Cell>
            </Table.Row>
          ))}
        </Table.Body>
      </WideTable>
    </section>
  )
}
