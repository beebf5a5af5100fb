import { Button, Heading, Text } from "@medusajs/ui"
import type { ReactNode } from "react"
import type { Json } from "../../lib/document"
import { useTexts } from "../../lib/texts"
import { Note } from "../field"
import { useField } from "./fields"

type Entry = { [key: string]: Json }
type Props = {
  at: string
  /** A new entry. */
  blank: Entry
  children: (at: string) => ReactNode
}

/** A list in the rules, such as the tiers: each entry is a card with its fields and a button that removes it. */
export function ListAt({ at, blank, children }: Props): ReactNode {
  const { value: entries, set, error, frame, text } = useField<Entry[]>(at)
  return (
    <div className="flex flex-col gap-y-4" data-field={at}>
      <div className="flex items-start justify-between gap-x-4">
        <div className="flex flex-col">
          <Heading level="h3">{frame.label}</Heading>
          <Text size="small" className="text-ui-fg-subtle">
            {frame.hint}
          </Text>
        </div>
        <Button size="small" variant="secondary" type="button" className="shrink-0" onClick={() => set([...entries, blank])}>
          {text("add")}
        </Button>
      </div>
      <Note error={error} />
      {entries.map((_, index) => (
        <Card
          // Nothing else tells two of them apart; a removed one takes the fields of those after it along.
          key={`${entries.length}-${index}`}
          at={`${at}.${index}`}
          name={`${text("one")} ${index + 1}`}
          remove={() => set(entries.filter((_, other) => other !== index))}
        >
          {children(`${at}.${index}`)}
        </Card>
      ))}
    </div>
  )
}

function Card({ at, name, remove, children }: { at: string; name: string; remove: () => void; children: ReactNode }): ReactNode {
  const t = useTexts()
  const { error } = useField<Entry>(at)
  return (
    <div
      role="group"
      aria-label={name}
      data-field={at}
      className="bg-ui-bg-component shadow-elevation-card-rest flex flex-col gap-y-4 rounded-lg p-4"
    >
      <div className="flex items-center justify-between">
        <Text size="small" weight="plus">
          {name}
        </Text>
        <Button size="small" variant="transparent" type="button" aria-label={t("rules.removeNamed", { name })} onClick={remove}>
          {t("rules.remove")}
        </Button>
      </div>
      <div className="grid grid-cols-1 items-start gap-4 md:grid-cols-2">{children}</div>
      <Note error={error} />
    </div>
  )
}
