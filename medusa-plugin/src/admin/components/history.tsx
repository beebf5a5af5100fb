import { Badge, Table, Text } from "@medusajs/ui"
import type { ReactNode } from "react"
import { Link } from "react-router-dom"
import type { DustTransaction, DustTransactionList } from "../../types"
import { described } from "../lib/explanation"
import { moment, shown, signed } from "../lib/format"
import { kindName } from "../lib/report-texts"
import { useTexts } from "../lib/texts"
import { MoreButton, usePages } from "./page-of"
import { Loaded, Nothing } from "./states"
import { WideTable } from "./wide-table"

const PAGE = 10

/** What happened to a customer's points, newest first, each with what it came from. */
export function History({ customerId }: { customerId: string }): ReactNode {
  const t = useTexts()
  const pages = usePages<DustTransactionList>(`/customers/${customerId}/transactions?limit=${PAGE}`)
  return (
    <Loaded query={pages}>
      {({ pages: loaded }) => {
        const rows = loaded.flatMap((page) => page.transactions)
        if (rows.length === 0) return <Nothing>{t("account.noHistory")}</Nothing>
        return (
          <>
            <Rows rows={rows} />
            <MoreButton pages={pages} />
          </>
        )
      }}
    </Loaded>
  )
}

function Rows({ rows }: { rows: DustTransaction[] }): ReactNode {
  const t = useTexts()
  return (
    <WideTable>
      <Table.Header>
        <Table.Row>
          <Table.HeaderCell>{t("account.when")}</Table.HeaderCell>
          <Table.HeaderCell>{t("account.what")}</Table.HeaderCell>
          <Table.HeaderCell className="text-right">{t("account.points")}</Table.HeaderCell>
          <Table.HeaderCell className="text-right">{t("account.balance")}</Table.HeaderCell>
        </Table.Row>
      </Table.Header>
      <Table.Body>
        {rows.map((row) => (
          <Table.Row key={row.id}>
            <Table.Cell className="whitespace-nowrap">{moment(row.event_at)}</Table.Cell>
            <Table.Cell>
              <div className="flex items-center gap-x-2 py-2">
                <Badge size="2xsmall">{kindName(row.kind, t)}</Badge>
                <Text size="small">{described(row.description, t)}</Text>
                <Origin row={row} />
              </div>
            </Table.Cell>
            <Table.Cell className="text-right">{signed(row.amount)}</Table.Cell>
            <Table.Cell className="text-right">{shown(row.balance_after)}</Table.Cell>
          </Table.Row>
        ))}
      </Table.Body>
    </WideTable>
  )
}

function Origin({ row }: { row: DustTransaction }): ReactNode {
  const t = useTexts()
  // The merchant's reason, which customers do not see.
  if (row.reference_type === "adjustment") {
    return (
      <Text size="small" className="text-ui-fg-subtle">
        {row.reference_id}
      </Text>
    )
  }
  if (!row.order_id) return null
  return (
    <Link className="text-ui-fg-base underline txt-small" to={`/orders/${row.order_id}`}>
      {row.order_number ? `#${row.order_number}` : t("general.order")}
    </Link>
  )
}
