import { Badge, Button, Checkbox, IconButton, Input, Label, Popover, Text } from "@medusajs/ui"
import { XMarkMini } from "@medusajs/icons"
import { keepPreviousData, useQuery } from "@tanstack/react-query"
import { useId, useState, type ReactNode } from "react"
import { messageOf } from "../../lib/dust"
import { MAX_FOUND, readNames, searchRecords, shownName, type Kind, type MedusaRecord } from "../../lib/shop"
import { useTexts } from "../../lib/texts"
import { Field, noteOf } from "../field"
import { useField } from "./fields"

const MAX_SHOWN = 30

/** Records of Medusa, chosen by their names. The document has their ids. */
export function RecordsAt({ at, kind }: { at: string; kind: Kind }): ReactNode {
  const { value, set, errorWithin, frame } = useField<string[]>(at)
  return <Picker frame={frame} error={errorWithin} kind={kind} ids={value} choose={set} />
}

/** One product. */
export function ProductAt({ at }: { at: string }): ReactNode {
  const { value, set, error, frame } = useField<string | null>(at)
  return (
    <Picker frame={frame} error={error} kind="products" ids={value ? [value] : []} choose={(ids) => set(ids[ids.length - 1] ?? "")} single />
  )
}

type PickerProps = {
  frame: { name: string; label: string; hint: string }
  error?: string
  kind: Kind
  ids: string[]
  choose: (ids: string[]) => void
  single?: boolean
}

function Picker({ frame, error, kind, ids, choose, single }: PickerProps): ReactNode {
  const t = useTexts()
  const id = useId()
  const [open, setOpen] = useState(false)
  const toggle = (recordId: string): void => {
    choose(ids.includes(recordId) ? ids.filter((other) => other !== recordId) : [...ids, recordId])
    if (single) setOpen(false)
  }
  return (
    <Field {...frame} error={error} id={id}>
      <Chosen kind={kind} ids={ids} remove={toggle} />
      <Popover open={open} onOpenChange={setOpen}>
        <Popover.Trigger asChild>
          <Button id={id} size="small" variant="secondary" type="button" className="self-start" aria-invalid={Boolean(error)} aria-describedby={noteOf(id, frame.hint, error)}>
            {t("rules.choose")}
          </Button>
        </Popover.Trigger>
        <Popover.Content className="w-80" aria-label={frame.label}>
          <Search kind={kind} ids={ids} toggle={toggle} />
        </Popover.Content>
      </Popover>
    </Field>
  )
}

/** What is chosen, each with a button that removes it. */
function Chosen({ kind, ids, remove }: { kind: Kind; ids: string[]; remove: (id: string) => void }): ReactNode {
  const t = useTexts()
  const [all, setAll] = useState(false)
  const shown = all ? ids : ids.slice(0, MAX_SHOWN)
  const names = useQuery({
    queryKey: ["dust", "names", kind, shown],
    queryFn: () => readNames(kind, shown),
    enabled: shown.length > 0,
    placeholderData: keepPreviousData,
  })
  if (ids.length === 0) return null
  return (
    <ul className="flex flex-wrap gap-2">
      {shown.map((id) => {
        // While names are read again, those of before are no reason to call a new id deleted.
        const name = shownName(id, names.isPlaceholderData ? { [id]: id, ...names.data } : names.data) ?? t("rules.deleted", { id })
        return (
          <li key={id}>
            <Badge size="small" className="gap-x-1">
              {name}
              <IconButton size="2xsmall" variant="transparent" type="button" aria-label={t("rules.removeNamed", { name })} onClick={() => remove(id)}>
                <XMarkMini />
              </IconButton>
            </Badge>
          </li>
        )
      })}
      {shown.length < ids.length && (
        <li>
          <Button size="small" variant="transparent" type="button" onClick={() => setAll(true)}>
            {t("rules.showAll", { count: ids.length })}
          </Button>
        </li>
      )}
    </ul>
  )
}

/** The shop's records whose names contain what is typed. */
export function Search({ kind, ids, toggle }: { kind: Kind; ids: string[]; toggle: (id: string) => void }): ReactNode {
  const t = useTexts()
  const [text, setText] = useState("")
  const search = useQuery({
    queryKey: ["dust", "search", kind, text.trim()],
    queryFn: () => searchRecords(kind, text),
    placeholderData: keepPreviousData,
  })
  return (
    <div className="flex flex-col gap-y-1 p-1">
      <Input size="small" aria-label={t("rules.search")} placeholder={t("rules.search")} value={text} onChange={({ target }) => setText(target.value)} />
      <div className="flex max-h-64 flex-col overflow-y-auto">
        {search.error && <Text size="small">{messageOf(search.error, t)}</Text>}
        {search.data?.length === 0 && <Text size="small">{t("rules.nothingFound")}</Text>}
        {search.data?.map((record) => <Option key={record.id} record={record} checked={ids.includes(record.id)} toggle={toggle} />)}
        {search.data?.length === MAX_FOUND && (
          <Text size="small" className="text-ui-fg-subtle px-1 py-1.5">
            {t("rules.moreFound")}
          </Text>
        )}
      </div>
    </div>
  )
}

function Option({ record, checked, toggle }: { record: MedusaRecord; checked: boolean; toggle: (id: string) => void }): ReactNode {
  const id = useId()
  return (
    <div className="flex items-center gap-x-2 px-1 py-1.5">
      <Checkbox id={id} checked={checked} onCheckedChange={() => toggle(record.id)} />
      <Label size="small" htmlFor={id} className="flex-1">
        {record.name}
      </Label>
    </div>
  )
}
