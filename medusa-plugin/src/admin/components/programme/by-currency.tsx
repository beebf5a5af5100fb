import { Checkbox, Label, Select, Text } from "@medusajs/ui"
import { useId, type ReactNode } from "react"
import { messageOf } from "../../lib/dust"
import { useCurrencies } from "../../lib/shop"
import { useTexts } from "../../lib/texts"
import { DecimalField, Note, noteOf } from "../field"
import { useField } from "./fields"

/** The shop's currencies, and after them those that the rules name and the shop no longer has. */
function useCodes(named: string[]): { codes: string[]; nameOf: (code: string) => string; failure?: string } {
  const t = useTexts()
  const { data, error } = useCurrencies()
  const own = data?.map(({ code }) => code) ?? []
  return {
    codes: [...own, ...named.filter((code) => !own.includes(code))],
    nameOf: (code) => (data && !own.includes(code) ? t("rules.deleted", { id: code.toUpperCase() }) : code.toUpperCase()),
    failure: error ? messageOf(error, t) : undefined,
  }
}

/** A number for each currency. One that is left empty is not in the document. */
export function ByCurrencyAt({ at }: { at: string }): ReactNode {
  const { value: amounts, error, frame } = useField<Record<string, string>>(at)
  const { codes, nameOf, failure } = useCodes(Object.keys(amounts))
  return (
    <Group {...frame} error={error ?? failure}>
      <div className="grid grid-cols-2 gap-2">
        {codes.map((code) => (
          <Amount key={code} at={`${at}.${code}`} name={nameOf(code)} />
        ))}
      </div>
    </Group>
  )
}

function Amount({ at, name }: { at: string; name: string }): ReactNode {
  const { value, set, error } = useField<string>(at)
  return <DecimalField name={at} label={name} error={error} value={value ?? ""} onChange={(number) => set(number || undefined)} />
}

/** Some of the currencies, or none of them. */
export function CurrenciesAt({ at }: { at: string }): ReactNode {
  const { value: chosen, set, errorWithin, frame } = useField<string[]>(at)
  const { codes, nameOf, failure } = useCodes(chosen)
  const toggle = (code: string): void =>
    set(chosen.includes(code) ? chosen.filter((other) => other !== code) : [...chosen, code])
  return (
    <Group {...frame} error={errorWithin ?? failure}>
      <div className="flex flex-wrap gap-4">
        {codes.map((code) => (
          <Check key={code} label={nameOf(code)} checked={chosen.includes(code)} toggle={() => toggle(code)} />
        ))}
      </div>
    </Group>
  )
}

function Check({ label, checked, toggle }: { label: string; checked: boolean; toggle: () => void }): ReactNode {
  const id = useId()
  return (
    <div className="flex items-center gap-x-2">
      <Checkbox id={id} checked={checked} onCheckedChange={toggle} />
      <Label size="small" htmlFor={id}>
        {label}
      </Label>
    </div>
  )
}

/** One of the currencies. */
export function CurrencyAt({ at }: { at: string }): ReactNode {
  const { value, set, error, frame } = useField<string | null>(at)
  const { codes, nameOf, failure } = useCodes(value ? [value] : [])
  const id = useId()
  return (
    <div className="flex flex-col gap-y-2" data-field={frame.name}>
      <Label size="small" weight="plus" htmlFor={id}>
        {frame.label}
      </Label>
      <Select size="small" value={value ?? ""} onValueChange={set}>
        <Select.Trigger id={id} aria-invalid={Boolean(error)} aria-describedby={noteOf(id, frame.hint, error ?? failure)}>
          <Select.Value placeholder="–" />
        </Select.Trigger>
        <Select.Content>
          {codes.map((code) => (
            <Select.Item key={code} value={code}>
              {nameOf(code)}
            </Select.Item>
          ))}
        </Select.Content>
      </Select>
      <Note hint={frame.hint} error={error ?? failure} id={noteOf(id, frame.hint, error ?? failure)} />
    </div>
  )
}

type GroupProps = { name: string; label: string; hint: string; error?: string; children: ReactNode }

/** Fields that belong together, with a common label. */
function Group({ name, label, hint, error, children }: GroupProps): ReactNode {
  const id = useId()
  return (
    <div role="group" aria-labelledby={id} aria-describedby={noteOf(id, hint, error)} className="flex flex-col gap-y-2" data-field={name}>
      <Text size="small" weight="plus" id={id}>
        {label}
      </Text>
      {children}
      <Note hint={hint} error={error} id={noteOf(id, hint, error)} />
    </div>
  )
}
