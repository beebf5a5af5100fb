import { Alert, Button, Table, Text } from "@medusajs/ui"
import { useQuery } from "@tanstack/react-query"
import { useState, type ReactNode } from "react"
import type { DustProgramme } from "../../../types"
import { useAuthors } from "../../lib/authors"
import type { Json } from "../../lib/document"
import { dust } from "../../lib/dust"
import { moment } from "../../lib/format"
import { useTexts } from "../../lib/texts"
import { useChangeTexts } from "../programme-history/change-list"
import { Loaded } from "../states"
import { WideTable } from "../wide-table"

type Props = { mine: Json; reload: (theirs: DustProgramme) => void; overwrite: (theirs: DustProgramme) => void }

/** Another version was saved meanwhile: take it, compare the two, or save this one after it. */
export function ProgrammeConflict({ mine, reload, overwrite }: Props): ReactNode {
  const t = useTexts()
  const [compares, setCompares] = useState(false)
  const query = useQuery({
    // Not the form's own query: its answer would replace what is being edited.
    queryKey: ["dust", "programme", "newest"],
    queryFn: () => dust<DustProgramme>("/programme"),
    gcTime: 0,
  })
  const authorOf = useAuthors(query.data ? [query.data.author] : [])
  return (
    <Loaded query={query}>
      {(theirs) => (
        <div className="flex flex-col gap-y-3">
          <Alert role="alert" variant="warning">
            {t("conflict.saved", { version: theirs.version, author: authorOf(theirs.author), date: moment(theirs.created_at ?? "") })}
          </Alert>
          <div className="flex flex-wrap gap-2">
            <Button size="small" variant="secondary" type="button" onClick={() => reload(theirs)}>
              {t("conflict.reload", { version: theirs.version })}
            </Button>
            <Button size="small" variant="secondary" type="button" onClick={() => setCompares(!compares)}>
              {t("conflict.compare")}
            </Button>
          </div>
          {compares && <Comparison theirs={theirs} mine={mine} overwrite={() => overwrite(theirs)} />}
        </div>
      )}
    </Loaded>
  )
}

function Comparison({ theirs, mine, overwrite }: { theirs: DustProgramme; mine: Json; overwrite: () => void }): ReactNode {
  const t = useTexts()
  const changes = useChangeTexts(theirs, mine)
  if (changes.length === 0) return <Text size="small">{t("conflict.same")}</Text>
  return (
    <>
      <WideTable>
        <Table.Header>
          <Table.Row>
            <Table.HeaderCell>{t("conflict.field")}</Table.HeaderCell>
            <Table.HeaderCell>{t("conflict.theirs", { version: theirs.version })}</Table.HeaderCell>
            <Table.HeaderCell>{t("conflict.mine")}</Table.HeaderCell>
          </Table.Row>
        </Table.Header>
        <Table.Body>
          {changes.map((change) => (
            <Table.Row key={change.key}>
              <Table.Cell className="whitespace-normal">{change.label}</Table.Cell>
              <Table.Cell className="whitespace-normal">{change.before}</Table.Cell>
              <Table.Cell className="whitespace-normal">{change.after}</Table.Cell>
            </Table.Row>
          ))}
        </Table.Body>
      </WideTable>
      <Button size="small" variant="danger" type="button" className="self-start" onClick={overwrite}>
        {t("conflict.overwrite", { version: theirs.version })}
      </Button>
    </>
  )
}
