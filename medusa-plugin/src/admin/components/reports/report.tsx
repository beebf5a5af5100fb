import { Button, Table, toast } from "@medusajs/ui"
import { useMutation, useQuery } from "@tanstack/react-query"
import type { ReactNode } from "react"
import { download } from "../../lib/download"
import { dust, dustCsv, messageOf } from "../../lib/dust"
import { useTexts } from "../../lib/texts"
import { Loaded, Nothing } from "../states"
import { WideTable } from "../wide-table"

export type Column<Row> = { label: string; value: (row: Row) => string; text?: boolean }

type Props<Data, Row> = {
  /** The report's name in its path, and in the name of its file. */
  name: string
  query?: Record<string, string>
  rowsOf: (data: Data) => Row[]
  columns: (rows: Row[]) => Column<Row>[]
  empty: string
  /** Fields that change the query, in front of the button for the file. */
  children?: ReactNode
  /** What stands above the table. */
  figures?: (data: Data) => ReactNode
}

/** A report as a table, and as a CSV file. */
export function Report<Data, Row>({ name, query, rowsOf, columns, empty, children, figures }: Props<Data, Row>): ReactNode {
  const path = `/reports/${name}`
  const search = new URLSearchParams(query).toString()
  const report = useQuery({ queryKey: ["dust", path, search], queryFn: () => dust<Data>(`${path}?${search}`) })
  return (
    <>
      <Head name={name} query={query}>
        {children}
      </Head>
      <Loaded query={report}>
        {(data) => {
          const rows = rowsOf(data)
          return (
            <>
              {figures?.(data)}
              {rows.length ? <Rows rows={rows} columns={columns(rows)} /> : <Nothing>{empty}</Nothing>}
            </>
          )
        }}
      </Loaded>
    </>
  )
}

/** What stands above a report: fields, and a button for its file. */
export function Head({ name, query, children }: Pick<Props<unknown, unknown>, "name" | "query" | "children">): ReactNode {
  return (
    <div className="flex flex-wrap items-end justify-between gap-4 px-6 py-4">
      <div className="flex flex-wrap items-end gap-4">{children}</div>
      <CsvButton name={name} query={query} />
    </div>
  )
}

export function Rows<Row>({ rows, columns }: { rows: Row[]; columns: Column<Row>[] }): ReactNode {
  return (
    <WideTable>
      <Table.Header>
        <Table.Row>
          {columns.map(({ label, text }) => (
            <Table.HeaderCell key={label} className={text ? "" : "text-right"}>
              {label}
            </Table.HeaderCell>
          ))}
        </Table.Row>
      </Table.Header>
      <Table.Body>
        {rows.map((row, index) => (
          <Table.Row key={index}>
            {columns.map(({ label, value, text }) => (
              <Table.Cell key={label} className={text ? "whitespace-nowrap" : "text-right"}>
                {value(row)}
              </Table.Cell>
            ))}
          </Table.Row>
        ))}
      </Table.Body>
    </WideTable>
  )
}

function CsvButton({ name, query }: { name: string; query?: Record<string, string> }): ReactNode {
  const t = useTexts()
  const read = useMutation({
    mutationFn: () => dustCsv(`/reports/${name}?${new URLSearchParams({ ...query, format: "csv" })}`),
    onSuccess: (text) => download(`dust-${name}.csv`, text, "text/csv"),
    onError: (error) => toast.error(messageOf(error, t)),
  })
  return (
    <Button size="small" variant="secondary" isLoading={read.isPending} onClick={() => read.mutate()}>
      {t("reports.csv")}
    </Button>
  )
}
