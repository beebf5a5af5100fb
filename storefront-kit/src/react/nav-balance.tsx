"use client"

import type { Balance } from "../types.js"
import { useDustContext } from "./context.js"
import { useBalance } from "./hooks.js"

export interface NavBalanceProps {
  /** Where the shopper sees the points in full, such as the account page. */
  href?: string
  /** The balance, if the server has read it. */
  balance?: Balance
}

/** The points that can be spent, for the navigation. Nothing for guests. */
export function NavBalance({ href, balance }: NavBalanceProps) {
  const { texts, customerId, dir, actions } = useDustContext()
  const { available, error } = useBalance(balance)
  if (customerId === null || !actions.balance || error?.code === "not_authenticated") return null
  // Also while Dust is down: the navigation keeps its shape.
  if (available === undefined) return <span className="dust dust-nav dust-nav-empty" aria-hidden="true" />
  const points = texts.points(available)
  const content = (
    <>
      <span className="dust-star" aria-hidden="true" />
      <span>{points}</span>
    </>
  )
  return href ? (
    <a className="dust dust-nav" dir={dir} href={href} aria-label={texts.t("navBalance", { points })}>
      {content}
    </a>
  ) : (
    <span className="dust dust-nav" dir={dir}>
      {content}
    </span>
  )
}
