"use client"

import { useActionState, useState, type ReactNode } from "react"
import type { ActionState } from "@/lib/actions"

type Action = (state: ActionState, form: FormData) => Promise<ActionState>

interface FormProps {
  action: Action
  submit: ReactNode
  children?: ReactNode
  className?: string
  quiet?: boolean
  /** What the message is about, such as the version of the cart. */
  about?: string
}

/** A form of a server action: its button is off while the action runs, and its message is shown below. */
export function Form({ action, submit, children, className, quiet = false, about }: FormProps) {
  const [result, run, pending] = useActionState(action, {})
  const [state, forget] = useCurrent(result, about)
  return (
    <form action={run} className={className} onChange={forget}>
      {children}
      <button type="submit" className={quiet ? "button quiet" : "button"} disabled={pending} aria-busy={pending}>
        {submit}
      </button>
      <Message state={state} />
    </form>
  )
}

/** The result of an action until what it is about has changed since, or `forget` is called. */
export function useCurrent(result: ActionState, about?: string): [ActionState, () => void] {
  const [last, setLast] = useState<{ result: ActionState; about?: string; isOver: boolean }>({ result, about, isOver: true })
  if (last.result !== result) setLast({ result, about, isOver: false })
  else if (!last.isOver && last.about !== about) setLast({ ...last, isOver: true })
  return [last.isOver ? {} : result, () => setLast({ ...last, isOver: true })]
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
