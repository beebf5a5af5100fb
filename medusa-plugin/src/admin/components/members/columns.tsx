import { Badge, Checkbox, Text, createDataTableColumnHelper, type DataTableColumnDef } from "@medusajs/ui"
import { Link } from "react-router-dom"
import { moment, shown } from "../../lib/format"
import type { MemberRow } from "../../lib/members"
import { useTexts } from "../../lib/texts"

const column = createDataTableColumnHelper<MemberRow>()

/* eslint-disable @typescript-eslint/no-explicit-any -- The type of Medusa UI's own option. */
export function useMemberColumns(): DataTableColumnDef<MemberRow, any>[] {
  const t = useTexts()
  const number = (key: "balance" | "available" | "pending" | "held", sortable = false) =>
    column.accessor(key, {
      header: t(`members.${key}`),
      headerAlign: "right",
      align: "right",
      cell: ({ getValue }) => shown(getValue()),
      ...(sortable && { enableSorting: true, sortAscLabel: t("members.lowest"), sortDescLabel: t("members.highest") }),
    })
  return [
    // Medusa UI's own column of checkboxes gives them no name, and a screen reader could not tell them apart.
    column.display({
      id: "select",
      header: ({ table }) => (
        <Checkbox
          aria-label={t("members.selectAll")}
          checked={table.getIsSomePageRowsSelected() ? "indeterminate" : table.getIsAllPageRowsSelected()}
          onCheckedChange={(on) => table.toggleAllPageRowsSelected(Boolean(on))}
        />
      ),
      cell: ({ row }) => (
        <Checkbox
          aria-label={t("events.select", { id: row.original.name })}
          checked={row.getIsSelected()}
          onCheckedChange={(on) => row.toggleSelected(Boolean(on))}
        />
      ),
    }),
    column.accessor("customer_id", {
      header: t("general.customer"),
      cell: ({ row: { original: member } }) => (
        <div className="flex flex-col py-2">
          <Link className="text-ui-fg-base underline txt-small" to={`/customers/${member.customer_id}`}>
            {member.name}
          </Link>
          {member.email && member.email !== member.name && (
            <Text size="xsmall" className="text-ui-fg-muted">
              {member.email}
            </Text>
          )}
        </div>
      ),
    }),
    column.accessor("tier", {
      header: t("members.tier"),
      cell: ({ getValue }) => (getValue() ? <Badge size="2xsmall">{getValue()}</Badge> : "–"),
    }),
    number("balance", true),
    number("available"),
    number("held"),
    number("pending"),
    column.accessor("last_activity", {
      header: t("members.lastActivity"),
      enableSorting: true,
      sortAscLabel: t("members.oldest"),
      sortDescLabel: t("members.newest"),
      cell: ({ getValue }) => <span className="whitespace-nowrap">{moment(getValue())}</span>,
    }),
  ]
}
