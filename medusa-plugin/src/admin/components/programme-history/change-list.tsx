import { Text } from "@medusajs/ui"
import { useQueries } from "@tanstack/react-query"
import type { ReactNode } from "react"
import { changeText, idsIn, type ChangeText, type Names } from "../../lib/change-texts"
import { changes } from "../../lib/differences"
import type { Json } from "../../lib/document"
import { readNames, type Kind } from "../../lib/shop"
import { useTexts } from "../../lib/texts"

/** What differs between two versions of the rules, each in a line: `Points per unit of money (EUR): 1 → 2`. */
export function ChangeList({ before, after }: { before: Json; after: Json }): ReactNode {
  const t = useTexts()
  const texts = useChangeTexts(before, after)
  if (texts.length === 0) return <Text size="small">{t("history.nothing")}</Text>
  return (
    <ul className="list-inside list-disc">
      {texts.map((change) => (
        <li key={change.key} className="txt-small">
          {t("history.change", { ...change })}
        </li>
      ))}
    </ul>
  )
}

/** What differs between two versions of the rules, as the form words it. */
export function useChangeTexts(before: Json, after: Json): (ChangeText & { key: string })[] {
  const t = useTexts()
  const differences = changes(before, after)
  const kinds = Object.entries(idsIn(differences)) as [Kind, string[]][]
  const queries = useQueries({
    queries: kinds.map(([kind, ids]) => ({ queryKey: ["dust", "names", kind, ids], queryFn: () => readNames(kind, ids) })),
  })
  const names = Object.assign({}, ...queries.map(({ data }) => data ?? {})) as Names
  return differences.map((change) => ({ key: JSON.stringify(change.steps), ...changeText(change, t, names) }))
}
