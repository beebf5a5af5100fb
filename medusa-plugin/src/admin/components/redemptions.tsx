import { StatusBadge, Table } from "@medusajs/ui"
import type { ComponentProps, ReactNode } from "react"
import { Link } from "react-router-dom"
import type { DustRedemption, DustRedemptionList } from "../../types"
import { counted, moment, shown } from "../lib/format"
import { MoreButton, usePages } from "./page-of"
import { Loaded, Nothing } from "./states"

const COLORS: Record<DustRedemption["state"], ComponentProps<typeof StatusBadge>["color"]> = {
  pending: "orange",
  active: "blue",
  captured: "green",
  released: "grey",
  failed: "red",
}
const LINK = "text-ui-fg-interactive"

export function Redemptions(): ReactNode {
  const pages = usePages<DustRedemptionList>("/redemptions")
  return (
    <Loaded query={pages}>
      {({ pages: loaded }) => {
        const rows = loaded.flatMap((page) => page.redemptions)
        if (rows.length === 0) return <Nothing>Nobody has redeemed dust yet.</Nothing>
        return (
          <>
            <Table>
              <Table.Header>
                <Table.Row>
                  <Table.HeaderCell>When</Table.HeaderCell>
                  <Table.HeaderCell>State</Table.HeaderCell>
                  <Table.HeaderCell>Dust</Table.HeaderCell>
                  <Table.HeaderCell>For</Table.HeaderCell>
                  <Table.HeaderCell>Customer</Table.HeaderCell>
                  <Table.HeaderCell>Order</Table.HeaderCell>
                </Table.Row>
              </Table.Header>
              <Table.Body>{rows.map((row) => <Row key={row.id} row={row} />)}</Table.Body>
            </Table>
            <MoreButton pages={pages} />
          </>
        )
      }}
    </Loaded>
  )
}

function Row({ row }: { row: DustRedemption }): ReactNode {
  return (
    <Table.Row>
      <Table.Cell className="whitespace-nowrap">{moment(row.created_at)}</Table.Cell>
      <Table.Cell>
        <span title={row.reason ?? undefined}>
          <StatusBadge color={COLORS[row.state]}>{row.state}</StatusBadge>
        </span>
      </Table.Cell>
      <Table.Cell>{row.state === "captured" ? `${shown(row.dust_captured)} of ${shown(row.dust)}` : shown(row.dust)}</Table.Cell>
      <Table.Cell className="whitespace-nowrap">{purpose(row)}</Table.Cell>
      <Table.Cell>
        <Link className={LINK} to={`/customers/${row.customer_id}`}>
          Customer
        </Link>
      </Table.Cell>
      <Table.Cell>
        {row.order_id ? (
          <Link className={LINK} to={`/orders/${row.order_id}`}>
            Order
          </Link>
        ) : (
          "–"
        )}
      </Table.Cell>
    </Table.Row>
  )
}

function purpose({ kind, percent, value, currency_code: currency, promotions }: DustRedemption): string {
  if (kind === "free_shipping") return "Free shipping"
  if (value) return `${value} ${currency?.toUpperCase()} off`
  if (percent) return `${percent} % off`
  const units = promotions.reduce((sum, promotion) => sum + (promotion.quantity ?? 0), 0)
  return counted(units, "product")
}
