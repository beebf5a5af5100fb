import { Alert, Container, DataTable, Heading, useDataTable, type DataTableFilteringState } from "@medusajs/ui"
import { useQuery } from "@tanstack/react-query"
import { useState, type ReactNode } from "react"
import type { DustMember, DustMemberList, DustProgramme } from "../../../types"
import { dust } from "../../lib/dust"
import { noted } from "../../lib/explanation"
import { membersPath, type MemberRow } from "../../lib/members"
import { nameOf, usePeople } from "../../lib/people"
import { useTexts } from "../../lib/texts"
import { BonusDrawer } from "../customer/bonus-drawer"
import { MoreButton, usePages, type Pages } from "../page-of"
import { Failed } from "../states"
import { useMemberColumns } from "./columns"
import { useMemberFilters } from "./filters"

/** All customers who have or had points. */
export function MembersTable(): ReactNode {
  const t = useTexts()
  const [search, setSearch] = useState("")
  const [filtering, setFiltering] = useState<DataTableFilteringState>({})
  const [sorting, setSorting] = useState<{ id: string; desc: boolean } | null>({ id: "last_activity", desc: true })
  const [selected, setSelected] = useState<Record<string, boolean>>({})
  const [givesBonus, setGivesBonus] = useState(false)
  const programme = useQuery({ queryKey: ["dust", "programme"], queryFn: () => dust<DustProgramme>("/programme") })
  const pages = usePages<DustMemberList>(
    membersPath({
      search,
      tier: filtering.tier as string | undefined,
      balance: filtering.balance as string | undefined,
      activity: filtering.last_activity as string | undefined,
      sort: sorting,
    }),
  )
  const rows = useRows(pages)
  const table = useDataTable<MemberRow>({
    data: rows,
    columns: useMemberColumns(),
    filters: useMemberFilters(programme.data),
    getRowId: (row) => row.customer_id,
    isLoading: pages.isPending,
    search: { state: search, onSearchChange: setSearch },
    filtering: { state: filtering, onFilteringChange: setFiltering },
    sorting: { state: sorting, onSortingChange: setSorting },
    rowSelection: { state: selected, onRowSelectionChange: setSelected },
    commands: [{ label: t("members.bonus"), shortcut: "b", action: () => setGivesBonus(true) }],
  })
  const chosen = Object.keys(selected).filter((id) => selected[id])
  return (
    <Container className="divide-y p-0">
      <DataTable instance={table}>
        <DataTable.Toolbar className="flex flex-wrap items-center justify-between gap-2" translations={{ clearAll: t("members.clearFilters") }}>
          <Heading>{t("members.title")}</Heading>
          <div className="flex items-center gap-x-2">
            <DataTable.Search placeholder={t("members.search")} />
            <DataTable.FilterMenu tooltip={t("members.filter")} />
            <DataTable.SortingMenu tooltip={t("members.sort")} />
          </div>
        </DataTable.Toolbar>
        <Notes pages={pages} />
        {!pages.isLoadingError && (
          <DataTable.Table
            emptyState={{
              empty: { heading: t("members.empty"), description: t("members.emptyHint") },
              filtered: { heading: t("members.noneFound"), description: t("members.noneFoundHint") },
            }}
          />
        )}
        <MoreButton pages={pages} />
        <DataTable.CommandBar selectedLabel={(count) => t("members.selected", { count })} />
      </DataTable>
      {givesBonus && (
        // Who cancels keeps the selection.
        <BonusDrawer customerIds={chosen} close={() => setGivesBonus(false)} given={() => setSelected({})} />
      )}
    </Container>
  )
}

/** The members with their names, which Medusa has. Until it answers, and without it, an id stands for a name. */
function useRows(pages: Pages<DustMemberList>): MemberRow[] {
  const members: DustMember[] = pages.data?.pages.flatMap((page) => page.customers) ?? []
  const people = usePeople(members.map((member) => member.customer_id))
  return members.map((member) => {
    const person = people[member.customer_id]
    return { ...member, name: person ? nameOf(person) : member.customer_id, email: person?.email ?? null }
  })
}

function Notes({ pages }: { pages: Pages<DustMemberList> }): ReactNode {
  const t = useTexts()
  const warning = pages.data?.pages[0]?.warning
  if (pages.isLoadingError || pages.isRefetchError) return <Failed query={pages} />
  if (!warning) return null
  return (
    <div className="px-6 py-4">
      <Alert variant="warning">{noted(warning, t)}</Alert>
    </div>
  )
}
