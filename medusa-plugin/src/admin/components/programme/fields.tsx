import { Select, Textarea } from "@medusajs/ui"
import { useId, useMemo, type ReactNode } from "react"
import { valueAt, type Json } from "../../lib/document"
import { messageAt, messageWithin } from "../../lib/field-errors"
import { ruleText } from "../../lib/rule-texts"
import { wholeNumber } from "../../lib/numbers"
import { useTexts } from "../../lib/texts"
import { DateField, DecimalField, Field, noteOf, TextField } from "../field"
import { SwitchField } from "../switch-field"
import { useEditor } from "./editor"

// The types of the plugin's target, ES2021, do not have it; every browser that runs the dashboard does.
const { supportedValuesOf } = Intl as unknown as { supportedValuesOf: (key: "timeZone") => string[] }
const TIME_ZONES = ["UTC", ...supportedValuesOf("timeZone")]

/** Where the field is in the document. Its label, hint and choices are the texts under the same name. */
type At = { at: string }

export type FieldOf<T> = {
  value: T
  set: (value: T | undefined) => void
  /** What the bridge says about the field. */
  error?: string
  /** The same, or what it says about an entry. */
  errorWithin?: string
  /** For a `Field`: its name, label and hint. */
  frame: { name: string; label: string; hint: string }
  text: (name: string) => string
}

/** A field of the rules: its value, how to change it, its texts and what the bridge says about it. */
export function useField<T extends Json>(at: string): FieldOf<T> {
  const { document, change, errors } = useEditor()
  const t = useTexts()
  const text = (name: string): string => ruleText(at, name, t)
  return {
    value: valueAt(document, at) as T,
    set: (value) => change(at, value),
    error: messageAt(errors, at),
    errorWithin: messageWithin(errors, at),
    frame: { name: at, label: text("label"), hint: text("hint") },
    text,
  }
}

/** A whole number, which travels as a JSON number. Anything else goes as it is, for the bridge to say what is wrong. */
export function WholeAt({ at }: At): ReactNode {
  const { value, set, error, frame, text } = useField<string | number | null>(at)
  const empty = text("empty")
  return (
    <TextField
      {...frame}
      error={error}
      placeholder={empty}
      inputMode="numeric"
      value={value?.toString() ?? ""}
      onChange={(typed) => set(empty && !typed.trim() ? null : wholeNumber(typed))}
    />
  )
}

/** A number with places, which travels as text, so that it stays exact. */
export function DecimalAt({ at }: At): ReactNode {
  const { value, set, error, frame } = useField<string | null>(at)
  return <DecimalField {...frame} error={error} value={value ?? ""} onChange={set} />
}

export function TextAt({ at, onLeave }: At & { onLeave?: (value: string) => void }): ReactNode {
  const { value, set, error, frame } = useField<string>(at)
  return <TextField {...frame} error={error} value={value} onChange={set} onBlur={() => onLeave?.(value)} />
}

/** Texts, one in a line. */
export function LinesAt({ at }: At): ReactNode {
  const { value, set, errorWithin, frame } = useField<string[]>(at)
  const id = useId()
  return (
    <Field {...frame} error={errorWithin} id={id}>
      <Textarea
        id={id}
        rows={2}
        aria-invalid={Boolean(errorWithin)}
        aria-describedby={noteOf(id, frame.hint, errorWithin)}
        value={value.join("\n")}
        onChange={({ target }) => set(target.value ? target.value.split("\n") : [])}
        onBlur={() => value.some((line) => !line.trim()) && set(value.filter((line) => line.trim()))}
      />
    </Field>
  )
}

export function SwitchAt({ at }: At): ReactNode {
  const { value, set, frame } = useField<boolean>(at)
  return <SwitchField {...frame} checked={value} onChange={set} />
}

/** One of some values. The texts of a choice such as `order.placed` are under `choices.order_placed`. */
export function ChoiceAt({ at, choices, onChange }: At & { choices: string[]; onChange?: (value: string) => void }): ReactNode {
  const { value, set, error, frame, text } = useField<string>(at)
  const id = useId()
  return (
    <Field {...frame} error={error} id={id}>
      <Select size="small" value={value} onValueChange={onChange ?? set}>
        <Select.Trigger id={id} aria-invalid={Boolean(error)} aria-describedby={noteOf(id, frame.hint, error)}>
          <Select.Value />
        </Select.Trigger>
        <Select.Content>
          {choices.map((choice) => (
            <Select.Item key={choice} value={choice}>
              {text(`choices.${choice.replace(".", "_")}`)}
            </Select.Item>
          ))}
        </Select.Content>
      </Select>
    </Field>
  )
}

export function MomentAt({ at }: At): ReactNode {
  const { value, set, error, frame } = useField<string | null>(at)
  const moment = useMemo(() => (value ? new Date(value) : null), [value])
  return (
    <DateField
      {...frame}
      error={error}
      granularity="minute"
      value={moment}
      // The picker also reports a moment that it was given, without its seconds (Medusa UI 4.2.6).
      onChange={(picked) => minuteOf(picked) !== minuteOf(moment) && set(picked?.toISOString() ?? null)}
    />
  )
}

function minuteOf(moment: Date | null): number | null {
  return moment && Math.floor(moment.getTime() / 60_000)
}

/** A time zone: the browser proposes those that contain what is typed. */
export function TimeZoneAt({ at }: At): ReactNode {
  const { value, set, error, frame } = useField<string>(at)
  const id = useId()
  return (
    <>
      <TextField {...frame} error={error} list={id} value={value} onChange={set} />
      <datalist id={id}>
        {TIME_ZONES.map((zone) => (
          <option key={zone} value={zone} />
        ))}
      </datalist>
    </>
  )
}
