"use client"

import { startTransition, useActionState, useRef, type ReactNode } from "react"
import type { ActionState } from "@/lib/actions"
import { Message, useCurrent, useKeptFocus } from "./form"

/** A form that is sent as soon as a choice in it changes. Without scripts it has a button. */
export function AutoForm({
  action,
  submit,
  children,
  className,
  about,
}: {
  action: (state: ActionState, form: FormData) => Promise<ActionState>
  submit: ReactNode
  children: ReactNode
  className?: string
  /** What the message is about, such as the version of the cart. */
  about?: string
}) {
  const form = useRef<HTMLFormElement>(null)
  const [result, run, pending] = useActionState(action, {})
  const [state] = useCurrent(result, about)
  const keepFocus = useKeptFocus(form)

  function send() {
    keepFocus()
    // Not `requestSubmit`: React would reset the form to the values of the last render.
    startTransition(() => run(new FormData(form.current ?? undefined)))
  }

  return (
    <form
      ref={form}
      action={run}
      className={className}
      onChange={send}
      onSubmit={(event) => event.preventDefault()}
      aria-busy={pending}
    >
      {children}
      <noscript>
        <button type="submit" className="button quiet">
          {submit}
        </button>
      </noscript>
      <Message state={state} />
    </form>
  )
}
