import { Badge, Table, Text } from "@medusajs/ui"
import type { ReactNode } from "react"
import { Link } from "react-router-dom"
import type { DustTransaction, DustTransactionList } from "../../types"
import { moment, shown, signed } from "../lib/format"
import { MoreButton, usePages } from "./page-of"
import { Nothing } from "./states"

const PAGE = 10

/** What happened to a customer's dust, newest first, each with what it came from. */
export function History({ customerId }: { customerId: string }): ReactNode {
  const pages = usePages<DustTransactionList>(`/customers/${customerId}/transactions?limit=${PAGE}`)
  const rows = pages.data?.pages.flatMap((page) => page.transactions) ?? []
  if (pages.isSuccess && rows.length === 0) return <Nothing>This customer has not had any dust yet.</Nothing>
  return (
    <>
      <Table>
        <Table.Header>
          <Table.Row>
            <Table.HeaderCell>When</Table.HeaderCell>
            <Table.HeaderCell>What happened</Table.HeaderCell>
            <Table.HeaderCell className="text-right">Dust</Table.HeaderCell>
            <Table.HeaderCell className="text-right">Balance</Table.HeaderCell>
          </Table.Row>
        </Table.Header>
        <Table.Body>
          {rows.map((row) => (
            <Table.Row key={row.id}>
              <Table.Cell className="whitespace-nowrap">{moment(row.event_at)}</Table.Cell>
              <Table.Cell>
                <div className="flex items-center gap-x-2 py-2">
                  <Badge size="2xsmall">{row.kind}</Badge>
                  <Text size="small">{row.description}</Text>
                  <Origin row={row} />
                </div>
              </Table.Cell>
              <Table.Cell className="text-right">{signed(row.amount)}</Table.Cell>
              <Table.Cell className="text-right">{shown(row.balance_after)}</Table.Cell>
            </Table.Row>
          ))}
        </Table.Body>
      </Table>
      <MoreButton pages={pages} />
    </>
  )
}

function Origin({ row }: { row: DustTransaction }): ReactNode {
  // The merchant's reason, which customers do not see.
  if (row.reference_type === "adjustment") {
    return (
      <Text size="small" className="text-ui-fg-subtle">
        {row.reference_id}
      </Text>
    )
  }
  if (row.reference_type !== "order") return null
  return (
    <Link className="text-ui-fg-interactive txt-small" to={`/orders/${row.reference_id}`}>
      Order
    </Link>
  )
}
