import { Table, Text } from "@medusajs/ui"
import { useQuery } from "@tanstack/react-query"
import type { ReactNode } from "react"
import type { DustDraftList, DustDraftSummary } from "../../../types"
import { useAuthors } from "../../lib/authors"
import { DRAFTS, reasonText } from "../../lib/drafts"
import { dust } from "../../lib/dust"
import { moment } from "../../lib/format"
import { useTexts } from "../../lib/texts"
import { Loaded, Nothing } from "../states"
import { DraftActions } from "./draft-actions"
import { WideTable } from "../wide-table"

const REFRESH_MS = 15_000

/** The drafts of the rules. */
export function Drafts(): ReactNode {
  const t = useTexts()
  const query = useQuery({
    queryKey: ["dust", DRAFTS],
    queryFn: () => dust<DustDraftList>(DRAFTS),
    // A draft with a start date is published meanwhile.
    refetchInterval: REFRESH_MS,
  })
  const authorOf = useAuthors(query.data?.drafts.map(({ author }) => author) ?? [])
  return (
    <Loaded query={query}>
      {({ drafts }) =>
        drafts.length === 0 ? <Nothing>{t("drafts.none")}</Nothing> : <Rows drafts={drafts} authorOf={authorOf} />
      }
    </Loaded>
  )
}

function Rows({ drafts, authorOf }: { drafts: DustDraftSummary[]; authorOf: (author: string) => string }): ReactNode {
  const t = useTexts()
  return (
    <WideTable>
      <Table.Header>
        <Table.Row>
          <Table.HeaderCell>{t("drafts.name")}</Table.HeaderCell>
          <Table.HeaderCell>{t("drafts.saved")}</Table.HeaderCell>
          <Table.HeaderCell>{t("drafts.start")}</Table.HeaderCell>
          <Table.HeaderCell />
        </Table.Row>
      </Table.Header>
      <Table.Body>
        {drafts.map((draft) => (
          <Table.Row key={draft.id}>
            <Table.Cell>{draft.name}</Table.Cell>
            <Table.Cell>{t("drafts.by", { date: moment(draft.updated_at), author: authorOf(draft.author) })}</Table.Cell>
            <Table.Cell>
              {draft.starts_at ? moment(draft.starts_at) : t("drafts.noStart")}
              {draft.reason && (
                <Text size="small" className="text-ui-fg-error whitespace-normal py-2">
                  {t("drafts.failed", { reason: reasonText(draft.reason, t) })}
                </Text>
              )}
            </Table.Cell>
            <Table.Cell className="text-right">
              <DraftActions draft={draft} />
            </Table.Cell>
          </Table.Row>
        ))}
      </Table.Body>
    </WideTable>
  )
}
