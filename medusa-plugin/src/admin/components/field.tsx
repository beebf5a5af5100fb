import { Hint, Input, Label, Text } from "@medusajs/ui"
import { useId, type ComponentProps, type ReactNode } from "react"

type Frame = { label: string; hint?: string; error?: string }

/** A label, something to fill in, and below it what the server says about it, or else a hint. */
export function Field({ label, hint, error, id, children }: Frame & { id?: string; children: ReactNode }): ReactNode {
  return (
    <div className="flex flex-col gap-y-2">
      <Label size="small" weight="plus" htmlFor={id}>
        {label}
      </Label>
      {children}
      {error ? (
        <Hint variant="error">{error}</Hint>
      ) : (
        hint && (
          <Text size="small" className="text-ui-fg-subtle">
            {hint}
          </Text>
        )
      )}
    </div>
  )
}

type TextFieldProps = Frame & Omit<ComponentProps<typeof Input>, "value" | "onChange" | "size"> & {
  value: string
  onChange: (value: string) => void
}

export function TextField({ label, hint, error, value, onChange, ...input }: TextFieldProps): ReactNode {
  const id = useId()
  return (
    <Field label={label} hint={hint} error={error} id={id}>
      <Input
        {...input}
        id={id}
        size="small"
        value={value}
        aria-invalid={Boolean(error)}
        onChange={(event) => onChange(event.target.value)}
      />
    </Field>
  )
}
