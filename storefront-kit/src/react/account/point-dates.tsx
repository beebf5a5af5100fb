"use client"

import { useDustContext } from "../context.js"
import { useBalance } from "../hooks.js"
import { Section } from "../parts.js"
import type { BalanceProps } from "./balance-summary.js"

/** Points that are on the way, and when they arrive. Nothing if there are none. */
export function PendingList({ balance: initial }: BalanceProps) {
  const { texts } = useDustContext()
  const { data } = useBalance(initial)
  const { t, date } = texts
  return (
    <Dates
      name="pending"
      title={t("pendingTitle")}
      rows={(data?.pending_lots ?? []).map(({ amount, matures_at: at }) =>
        at === null
          ? t("pendingPayment", { points: amount })
          : t("pendingFrom", { points: amount, date: date(at) }),
      )}
    />
  )
}

/** Points that expire, soonest first. Nothing if none do. */
export function ExpiringList({ balance: initial }: BalanceProps) {
  const { texts } = useDustContext()
  const { data } = useBalance(initial)
  const { t, date } = texts
  return (
    <Dates
      name="expiring"
      title={t("expiringTitle")}
      rows={(data?.expiring ?? []).map(({ amount, expires_at: at }) =>
        t("expiringUntil", { points: amount, date: date(at) }),
      )}
    />
  )
}

function Dates({ name, title, rows }: { name: string; title: string; rows: string[] }) {
  if (!rows.length) return null
  return (
    <Section name={name} title={title}>
      <ul className="dust-list">
        {rows.map((row, index) => (
          <li key={index} className="dust-row">
            {row}
          </li>
        ))}
      </ul>
    </Section>
  )
}
