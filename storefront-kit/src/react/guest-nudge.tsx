"use client"

import type { Quote } from "../types.js"
import { useDustContext } from "./context.js"
import { useQuote } from "./hooks.js"

export interface GuestNudgeProps {
  signInHref?: string
  signUpHref?: string
  /** Names of the cart's products by product id. */
  names?: Record<string, string>
  /** Changes whenever the cart does. */
  version?: unknown
  /** The quote, if the server has read it. */
  quote?: Quote
}

/** What a guest gets with an account. Nothing for customers. */
export function GuestNudge({ version, quote: initial, ...rest }: GuestNudgeProps) {
  const { customerId } = useDustContext()
  const { data: quote } = useQuote(version, initial)
  const isGuest = quote ? quote.guest : customerId === null
  return isGuest ? <Nudge {...rest} quote={quote} /> : null
}

export function Nudge({ signInHref, signUpHref, names = {}, quote }: Omit<GuestNudgeProps, "version">) {
  const { texts, programme, dir } = useDustContext()
  const { t } = texts
  const kept = quote?.guest ? quote.escrow : 0
  const signup = programme?.bonuses.signup ?? 0
  const due = quote?.guest ? quote.account_items.map(({ product_id }) => names[product_id] ?? t("product")) : []
  return (
    <aside className="dust dust-card dust-nudge" dir={dir}>
      {due.length > 0 && <p className="dust-problem">{t("guestAccountOnly", { names: due.join(", ") })}</p>}
      <p>
        <span className="dust-star" aria-hidden="true" />
        {kept > 0 ? (
          <>
            <strong>{t("guestKeep", { points: kept })}</strong>{" "}
            {quote?.guest && t("guestKeepDays", { days: texts.days(quote.escrow_days) })}
          </>
        ) : (
          <strong>{signup > 0 ? t("guestSignup", { points: signup }) : t("guestCollect")}</strong>
        )}
      </p>
      {(signUpHref || signInHref) && (
        <p className="dust-buttons">
          {signUpHref && (
            <a className="dust-button dust-button-primary" href={signUpHref}>
              {t("guestSignUp")}
            </a>
          )}
          {signInHref && (
            <a className="dust-button" href={signInHref}>
              {t("guestSignIn")}
            </a>
          )}
        </p>
      )}
    </aside>
  )
}
