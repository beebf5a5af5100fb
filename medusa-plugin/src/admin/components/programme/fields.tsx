import { Button, DatePicker, IconButton, Input, Select, Textarea } from "@medusajs/ui"
import { Trash } from "@medusajs/icons"
import { useId, useState, type ReactNode } from "react"
import { valueAt, type Json } from "../../lib/document"
import { wholeNumber } from "../../lib/dust"
import { messageWithin } from "../../lib/field-errors"
import { worded } from "../../lib/wording"
import { Field, TextField } from "../field"
import { SwitchField } from "../switch-field"
import { useEditor } from "./editor"

type At = { at: string; label: string; hint?: string }

/** A field of the document: its value, how to change it, and what the server says about it. */
export function useField<T extends Json>(at: string): { value: T; set: (value: T | undefined) => void; error?: string } {
  const { document, change, errors } = useEditor()
  const message = messageWithin(errors, at)
  return {
    value: valueAt(document, at) as T,
    set: (value) => change(at, value),
    error: message && worded(message),
  }
}

/** A whole number, which travels as a JSON number. Anything else goes as it is, for the server to say what is wrong. */
export function WholeAt({ at, label, hint, empty }: At & { empty?: string }): ReactNode {
  const { value, set, error } = useField<string | number | null>(at)
  return (
    <TextField
      label={label}
      hint={hint}
      error={error}
      placeholder={empty}
      inputMode="numeric"
      value={value?.toString() ?? ""}
      onChange={(text) => set(empty && !text.trim() ? null : wholeNumber(text))}
    />
  )
}

/** A number with places, which travels as text, so that it stays exact. */
export function DecimalAt({ at, label, hint }: At): ReactNode {
  const { value, set, error } = useField<string>(at)
  return <TextField label={label} hint={hint} error={error} inputMode="decimal" value={value} onChange={set} />
}

export function TextAt({ at, label, hint }: At): ReactNode {
  const { value, set, error } = useField<string>(at)
  return <TextField label={label} hint={hint} error={error} value={value} onChange={set} />
}

export function SwitchAt({ at, label, hint }: At): ReactNode {
  const { value, set } = useField<boolean>(at)
  return <SwitchField label={label} hint={hint} checked={value} onChange={set} />
}

export function ChoiceAt({ at, label, hint, choices }: At & { choices: Record<string, string> }): ReactNode {
  const { value, set, error } = useField<string>(at)
  const id = useId()
  return (
    <Field label={label} hint={hint} error={error} id={id}>
      <Select size="small" value={value} onValueChange={set}>
        <Select.Trigger id={id}>
          <Select.Value />
        </Select.Trigger>
        <Select.Content>
          {Object.entries(choices).map(([name, words]) => (
            <Select.Item key={name} value={name}>
              {words}
            </Select.Item>
          ))}
        </Select.Content>
      </Select>
    </Field>
  )
}

/** Ids, one in a line. */
export function IdsAt({ at, label, hint }: At): ReactNode {
  const { value, set, error } = useField<string[]>(at)
  const [text, setText] = useState(value.join("\n"))
  const id = useId()
  return (
    <Field label={label} hint={hint} error={error} id={id}>
      <Textarea
        id={id}
        rows={2}
        value={text}
        onChange={({ target }) => {
          setText(target.value)
          set(target.value.split(/[\s,]+/).filter(Boolean))
        }}
      />
    </Field>
  )
}

export function MomentAt({ at, label, hint }: At): ReactNode {
  const { value, set, error } = useField<string | null>(at)
  return (
    <Field label={label} hint={hint} error={error}>
      <DatePicker
        size="small"
        granularity="minute"
        aria-label={label}
        value={value ? new Date(value) : null}
        onChange={(date) => set(date?.toISOString() ?? null)}
      />
    </Field>
  )
}

/** An amount of dust for each currency. */
export function RatesAt({ at, label, hint }: At): ReactNode {
  const { value: rates, set } = useField<Record<string, string>>(at)
  const [currency, setCurrency] = useState("")
  const wanted = currency.trim().toLowerCase()
  const add = (): void => {
    set({ ...rates, [wanted]: "1" })
    setCurrency("")
  }
  return (
    <Field label={label} hint={hint}>
      {Object.keys(rates).map((each) => (
        <Rate key={each} at={`${at}.${each}`} currency={each} />
      ))}
      <div className="flex items-center gap-x-2">
        <Input
          size="small"
          className="w-24"
          placeholder="usd"
          aria-label={`${label}: another currency`}
          value={currency}
          onChange={({ target }) => setCurrency(target.value)}
        />
        <Button size="small" variant="secondary" type="button" disabled={!wanted || wanted in rates} onClick={add}>
          Add currency
        </Button>
      </div>
    </Field>
  )
}

function Rate({ at, currency }: { at: string; currency: string }): ReactNode {
  const { value, set, error } = useField<string>(at)
  return (
    <div className="flex items-end gap-x-2">
      <div className="flex-1">
        <TextField label={currency.toUpperCase()} error={error} inputMode="decimal" value={value} onChange={set} />
      </div>
      <IconButton size="small" variant="transparent" type="button" aria-label={`Remove ${currency}`} onClick={() => set(undefined)}>
        <Trash />
      </IconButton>
    </div>
  )
}
