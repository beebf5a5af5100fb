import { StatusBadge, Table, Text } from "@medusajs/ui"
import type { ComponentProps, ReactNode } from "react"
import type { DustRedemption, DustRedemptionList } from "../../types"
import { noted } from "../lib/explanation"
import { amount, moment, shown } from "../lib/format"
import { useOrderNumbers, usePeople, type Person } from "../lib/people"
import { useTexts, type Translate } from "../lib/texts"
import { CustomerLink, OrderLink } from "./links"
import { MoreButton, usePages } from "./page-of"
import { Loaded, Nothing } from "./states"
import { WideTable } from "./wide-table"

const COLORS: Record<DustRedemption["state"], ComponentProps<typeof StatusBadge>["color"]> = {
  pending: "orange",
  active: "blue",
  captured: "green",
  released: "grey",
  failed: "red",
}
const REFRESH_MS = 15_000

/** The redemptions of all customers, newest first. */
export function Redemptions(): ReactNode {
  const t = useTexts()
  const pages = usePages<DustRedemptionList>("/redemptions", REFRESH_MS)
  const rows = pages.data?.pages.flatMap((page) => page.redemptions) ?? []
  const people = usePeople(rows.map((row) => row.customer_id))
  const numbers = useOrderNumbers(rows.flatMap((row) => row.order_id ?? []))
  return (
    <Loaded query={pages}>
      {() => {
        if (rows.length === 0) return <Nothing>{t("redemptions.none")}</Nothing>
        return (
          <>
            <WideTable>
              <Table.Header>
                <Table.Row>
                  <Table.HeaderCell>{t("redemptions.when")}</Table.HeaderCell>
                  <Table.HeaderCell>{t("redemptions.state")}</Table.HeaderCell>
                  <Table.HeaderCell>{t("redemptions.points")}</Table.HeaderCell>
                  <Table.HeaderCell>{t("redemptions.for")}</Table.HeaderCell>
                  <Table.HeaderCell>{t("general.customer")}</Table.HeaderCell>
                  <Table.HeaderCell>{t("general.order")}</Table.HeaderCell>
                </Table.Row>
              </Table.Header>
              <Table.Body>
                {rows.map((row) => (
                  <Row key={row.id} row={row} person={people[row.customer_id]} number={numbers[row.order_id ?? ""]} />
                ))}
              </Table.Body>
            </WideTable>
            <MoreButton pages={pages} />
          </>
        )
      }}
    </Loaded>
  )
}

function Row({ row, person, number }: { row: DustRedemption; person?: Person; number?: string }): ReactNode {
  const t = useTexts()
  return (
    <Table.Row>
      <Table.Cell className="whitespace-nowrap">{moment(row.created_at)}</Table.Cell>
      <Table.Cell>
        <StatusBadge color={COLORS[row.state]}>{t(`redemptions.states.${row.state}`)}</StatusBadge>
        {row.reason && (
          <Text size="xsmall" className="text-ui-fg-muted whitespace-normal pb-2">
            {noted(row.reason, t)}
          </Text>
        )}
      </Table.Cell>
      <Table.Cell>
        {row.state === "captured"
          ? t("redemptions.captured", { captured: shown(row.dust_captured), points: shown(row.dust) })
          : shown(row.dust)}
      </Table.Cell>
      <Table.Cell className="whitespace-nowrap">{purpose(row, t)}</Table.Cell>
      <Table.Cell>
        <CustomerLink id={row.customer_id} person={person} />
      </Table.Cell>
      <Table.Cell>{row.order_id ? <OrderLink id={row.order_id} number={number} /> : "–"}</Table.Cell>
    </Table.Row>
  )
}

function purpose({ kind, percent, value, currency_code: currency, promotions }: DustRedemption, t: Translate): string {
  if (kind === "free_shipping") return t("redemptions.freeShipping")
  if (value) return t("redemptions.off", { value: `${amount(value)} ${currency?.toUpperCase()}` })
  if (percent) return t("redemptions.off", { value: `${amount(percent)} %` })
  const units = promotions.reduce((sum, promotion) => sum + (promotion.quantity ?? 0), 0)
  return t("redemptions.products", { count: units })
}
