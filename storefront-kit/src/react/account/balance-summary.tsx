"use client"

import type { Balance } from "../../types.js"
import { ActionButton } from "../action-button.js"
import { useDustContext } from "../context.js"
import { useBalance } from "../hooks.js"
import { Section, Skeleton, useAct } from "../parts.js"

export interface BalanceProps {
  /** The balance, if the server has read it. */
  balance?: Balance
}

/** What can be spent, what is held and what is on the way. */
export function BalanceSummary({ balance: initial }: BalanceProps) {
  const { texts } = useDustContext()
  const { data: balance, available, loading, error } = useBalance(initial)
  const { tryAgain, titleRef } = useAct("account")
  const { t, number } = texts
  const title = t("balanceTitle")
  if (!balance && loading) return <Skeleton name="balance" title={title} />
  if (!balance) {
    if (!error || error.code === "not_authenticated") return null
    return (
      <Section name="balance" title={title} titleRef={titleRef}>
        <p className="dust-muted">{t("balanceUnavailable")}</p>
        <ActionButton id="refresh" text={t("tryAgain")} onClick={tryAgain} />
      </Section>
    )
  }
  const free = available ?? balance.available
  return (
    <Section
      name="balance"
      title={title}
      titleRef={titleRef}
      aside={balance.tier?.name && <span className="dust-badge">{balance.tier.name}</span>}
    >
      <p className="dust-big">
        <strong>{number(free)}</strong> <span>{t("balanceAvailable")}</span>
      </p>
      {balance.balance < 0 && (
        <p className="dust-problem">{t("balanceNegative", { points: -balance.balance })}</p>
      )}
      {(balance.held > 0 || balance.pending > 0) && (
        <dl className="dust-pairs">
          {balance.held > 0 && (
            <div>
              <dt>{t("balanceHeld")}</dt>
              <dd>{number(balance.held)}</dd>
            </div>
          )}
          {balance.pending > 0 && (
            <div>
              <dt>{t("balancePending")}</dt>
              <dd>{number(balance.pending)}</dd>
            </div>
          )}
        </dl>
      )}
    </Section>
  )
}
