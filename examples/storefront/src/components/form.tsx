"use client"

import {
  startTransition,
  useActionState,
  useEffect,
  useRef,
  useState,
  type FocusEvent,
  type FormEvent,
  type ReactNode,
  type RefObject,
} from "react"
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

/**
 * A form of a server action: it is sent once at a time, and its message is shown below. The button is not `disabled`
 * meanwhile, as it would lose the focus.
 */
export function Form({ action, submit, children, className, quiet = false, about }: FormProps) {
  const [result, run, pending] = useActionState(action, {})
  const [state, forget] = useCurrent(result, about)
  const form = useRef<HTMLFormElement>(null)
  const keepFocus = useKeptFocus(form)
  const passFocusOn = useFocusOfRemoved()

  // React itself would set all fields back after every answer. What was refused stays, to be corrected.
  function onSubmit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    if (pending) return
    keepFocus()
    const filledIn = new FormData(event.currentTarget)
    startTransition(() => run(filledIn))
  }

  return (
    <form ref={form} action={run} className={className} onChange={forget} onSubmit={onSubmit} {...passFocusOn}>
      {children}
      <button type="submit" className={quiet ? "button quiet" : "button"} aria-disabled={pending} aria-busy={pending}>
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

/** Call the result when a form is sent: the focus stays at its field, also if the next page replaces that. */
export function useKeptFocus(form: RefObject<HTMLFormElement | null>): () => void {
  const name = useRef("")
  useEffect(() => {
    if (!name.current || document.activeElement !== document.body) return
    const field = `[name="${name.current}"]:is(:checked, :not([type="radio"]))`
    form.current?.querySelector<HTMLElement>(field)?.focus({ preventScroll: true })
    name.current = ""
  })
  return () => {
    name.current = document.activeElement?.getAttribute("name") ?? ""
  }
}

/** Props of a form: when it leaves the page with the focus, as that of a removed line does, the page's title gets the focus. */
function useFocusOfRemoved() {
  const hasFocus = useRef(false)
  useEffect(
    () => () => {
      if (!hasFocus.current || document.activeElement !== document.body) return
      const title = document.querySelector<HTMLElement>("main h1")
      title?.setAttribute("tabindex", "-1")
      title?.focus({ preventScroll: true })
    },
    [],
  )
  return {
    onFocus: () => {
      hasFocus.current = true
    },
    onBlur: ({ target }: FocusEvent) => {
      // No other element has taken the focus from one that is gone.
      if (target.isConnected) hasFocus.current = false
    },
  }
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
