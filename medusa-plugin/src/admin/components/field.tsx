import { Hint, Input, Label, Text } from "@medusajs/ui"
import { useId, type ComponentProps, type ReactNode } from "react"
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
      <Note hint={hint} error={error} id={id && noteId(id)} />
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

/** The id of the note below the input with this id, for `aria-describedby`. */
export function noteId(id: string): string {
  return `${id}-note`
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
        aria-describedby={hint || error ? noteId(id) : undefined}
        onChange={(event) => onChange(event.target.value)}
      />
    </Field>
  )
}
