"use client"

import { useActionState, type ReactNode } from "react"
import type { ActionState } from "@/lib/actions"

type Action = (state: ActionState, form: FormData) => Promise<ActionState>

/** A form of a server action: its button is off while the action runs, and its message is shown below. */
export function Form({
  action,
  submit,
  children,
  className,
  quiet = false,
}: {
  action: Action
  submit: ReactNode
  children?: ReactNode
  className?: string
  quiet?: boolean
}) {
  const [state, run, pending] = useActionState(action, {})
  return (
    <form action={run} className={className}>
      {children}
      <button type="submit" className={quiet ? "button quiet" : "button"} disabled={pending} aria-busy={pending}>
        {submit}
      </button>
      <Message state={state} />
    </form>
  )
}

/** There from the start, as a screen reader tells only changes of what is there. */
export function Message({ state }: { state: ActionState }) {
  return (
    <p className={state.error ? "message error" : "message"} role="status">
      {state.error ?? state.done}
    </p>
  )
}

export function Field({ label, name, ...rest }: { label: string; name: string } & React.InputHTMLAttributes<HTMLInputElement>) {
  return (
    <label className="field">
      <span>{label}</span>
      <input name={name} required {...rest} />
    </label>
  )
}
