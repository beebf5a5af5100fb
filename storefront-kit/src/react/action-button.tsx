"use client"

import { useDustContext } from "./context.js"
import { useBusy } from "./hooks.js"

interface ActionButtonProps {
  /** The action's id: this button shows that it is running. Meanwhile no button does anything. */
  id: string
  text: string
  /** What it acts on, for screen readers, where a page has several such buttons. */
  subject?: string
  primary?: boolean
  disabled?: boolean
  submit?: boolean
  onClick?: () => void
}

/** A button for one action at a time. */
export function ActionButton({ id, text, subject, primary, disabled, submit, onClick }: ActionButtonProps) {
  const { texts } = useDustContext()
  const busy = useBusy()
  const isRunning = busy === id
  return (
    <button
      type={submit ? "submit" : "button"}
      className={primary ? "dust-button dust-button-primary" : "dust-button"}
      aria-label={isRunning || subject === undefined ? undefined : `${text}: ${subject}`}
      disabled={disabled}
      // Not `disabled`: the browser would take the focus from the button.
      aria-disabled={busy !== undefined || undefined}
      onClick={busy === undefined ? onClick : undefined}
    >
      {isRunning ? texts.t("busy") : text}
    </button>
  )
}
