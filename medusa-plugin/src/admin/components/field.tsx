import { DatePicker, Hint, Input, Label, Text } from "@medusajs/ui"
import { useId, useState, type ComponentProps, type ReactNode } from "react"
import { decimalNumber, readings } from "../lib/numbers"
import { useTexts } from "../lib/texts"
import { worded } from "../lib/wording"

type Frame = {
  label: string
  hint?: string
  error?: string
  /** What the field is called in the request, so that tests find it. */
  name?: string
}

/** A label, something to fill in, and below it what the server says about it, or else a hint. */
export function Field({ label, hint, error, name, id, children }: Frame & { id?: string; children: ReactNode }): ReactNode {
  return (
    <div className="flex flex-col gap-y-2" data-field={name}>
      <Label size="small" weight="plus" htmlFor={id}>
        {label}
      </Label>
      {children}
      <Note hint={hint} error={error} id={id && noteOf(id, hint, error)} />
    </div>
  )
}

/** What the server says about a field, or else a hint. */
export function Note({ hint, error, id }: { hint?: string; error?: string; id?: string }): ReactNode {
  const t = useTexts()
  if (error) {
    return (
      <Hint variant="error" id={id}>
        {worded(error, t)}
      </Hint>
    )
  }
  return (
    hint && (
      <Text size="small" className="text-ui-fg-subtle" id={id}>
        {hint}
      </Text>
    )
  )
}

/** The id of the note below the input with this id, for `aria-describedby`. Undefined where it has none. */
export function noteOf(id: string, hint?: string, error?: string): string | undefined {
  return hint || error ? `${id}-note` : undefined
}

type TextFieldProps = Frame & Omit<ComponentProps<typeof Input>, "value" | "onChange" | "size" | "name"> & {
  value: string
  onChange: (value: string) => void
}

export function TextField({ label, hint, error, name, value, onChange, ...input }: TextFieldProps): ReactNode {
  const id = useId()
  return (
    <Field label={label} hint={hint} error={error} name={name} id={id}>
      <Input
        {...input}
        id={id}
        size="small"
        value={value}
        aria-invalid={Boolean(error)}
        aria-describedby={noteOf(id, hint, error)}
        onChange={(event) => onChange(event.target.value)}
      />
    </Field>
  )
}

type DateFieldProps = Frame & Pick<ComponentProps<typeof DatePicker>, "granularity" | "minValue" | "maxValue"> & {
  value: Date | null
  onChange: (date: Date | null) => void
}

/** A day, or with the granularity `minute` a moment, in the browser's time zone. */
export function DateField({ label, hint, error, name, ...picker }: DateFieldProps): ReactNode {
  const id = useId()
  return (
    <Field label={label} hint={hint} error={error} name={name} id={id}>
      <DatePicker {...picker} size="small" aria-label={label} aria-describedby={noteOf(id, hint, error)} />
    </Field>
  )
}

/** A number with a decimal point or comma. `value` is as the server reads it; the field shows it as it was typed. */
export function DecimalField({ value, error, onChange, ...field }: Omit<TextFieldProps, "inputMode">): ReactNode {
  const t = useTexts()
  const [typed, setTyped] = useState(value)
  const isTyped = decimalNumber(typed) === value
  const unclear = isTyped ? readings(typed) : undefined
  return (
    <TextField
      {...field}
      inputMode="decimal"
      value={isTyped ? typed : value}
      error={unclear ? t("finding.unclear", unclear) : error}
      onChange={(text) => {
        setTyped(text)
        onChange(decimalNumber(text))
      }}
    />
  )
}
