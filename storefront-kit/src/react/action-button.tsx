"use client"

import type { ReactNode } from "react"
import { useDustContext } from "./context.js"
import { useBusy } from "./hooks.js"

interface ActionButtonProps {
  /** The action's id: this button shows that it is running. All are disabled meanwhile. */
  id: string
  label?: string
  primary?: boolean
  disabled?: boolean
  submit?: boolean
  describedBy?: string
  onClick?: () => void
  children: ReactNode
}

/** A button for one action at a time. */
export function ActionButton({ id, label, primary, disabled, submit, describedBy, onClick, children }: ActionButtonProps) {
  const { texts } = useDustContext()
  const busy = useBusy()
  const isRunning = busy === id
  return (
    <button
      type={submit ? "submit" : "button"}
      className={primary ? "dust-button dust-button-primary" : "dust-button"}
      aria-label={isRunning ? undefined : label}
      aria-describedby={describedBy}
      disabled={disabled || busy !== undefined}
      onClick={onClick}
    >
      {isRunning ? texts.t("busy") : children}
    </button>
  )
}
