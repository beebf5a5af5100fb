import { Label, Switch } from "@medusajs/ui"
import { useId, type ReactNode } from "react"
import { Note, noteOf } from "./field"

type Props = { label: string; hint?: string; name?: string; checked: boolean; onChange: (checked: boolean) => void }

export function SwitchField({ label, hint, name, checked, onChange }: Props): ReactNode {
  const id = useId()
  return (
    <div className="flex items-start justify-between gap-x-4" data-field={name}>
      <div className="flex flex-col">
        <Label size="small" weight="plus" htmlFor={id}>
          {label}
        </Label>
        <Note hint={hint} id={noteOf(id, hint)} />
      </div>
      <Switch className="shrink-0" id={id} aria-describedby={noteOf(id, hint)} checked={checked} onCheckedChange={onChange} />
    </div>
  )
}
