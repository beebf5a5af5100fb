"use client"

import { useEffect, useRef, useState } from "react"
import type { OrderPoints, Quote, RulePart } from "../types.js"
import { useDustContext } from "./context.js"
import { Nudge } from "./guest-nudge.js"
import { useResource } from "./hooks.js"
import { Breakdown, Section } from "./parts.js"

export interface ThankYouProps {
  orderId: string
  signUpHref?: string
  signInHref?: string
}

/** Dust hears of an order within a second or two. Then ask less often. */
const LOOK_AGAIN_MS = [1_000, 2_000, 3_000, 5_000, 8_000, 15_000]

/** What an order has earned and used. */
export function ThankYou({ orderId, ...hrefs }: ThankYouProps) {
  const { texts, actions, store, customerId } = useDustContext()
  const read = customerId === null ? undefined : actions.order
  const { data: order, error } = useResource(`order:${orderId}`, read && (() => read(orderId)))
  // The last quote is the order's: it has the rules. A new cart has to get one of its own.
  const [quote] = useState(() => store.get<Quote>("quote").data)
  const looks = useRef(0)
  const isWaiting = Boolean(read) && (!order || (order.state === "pending" && !order.earned))
  const isGuest = customerId === null || error?.code === "not_authenticated"
  const { t } = texts

  useEffect(() => {
    if (!isWaiting || isGuest) return
    const delay = LOOK_AGAIN_MS[looks.current]
    if (delay === undefined) return
    const timer = setTimeout(() => {
      looks.current += 1
      void store.refresh()
    }, delay)
    return () => clearTimeout(timer)
  }, [isWaiting, isGuest, order, error, store])

  // The balance has changed with the order: show it everywhere.
  const settledState = order && `${order.earned} ${order.spent}`
  useEffect(() => {
    store.forget("quote")
    if (settledState) void store.refresh()
  }, [settledState, store])

  if (isGuest) return <Nudge {...hrefs} quote={quote} />
  if (!read || (error && !order && looks.current >= LOOK_AGAIN_MS.length)) return null
  return (
    <Section name="thanks" title={t("thanksTitle")} busy={!order}>
      {!order ? (
        <p role="status">{t("thanksWaiting")}</p>
      ) : (
        <>
          <p role="status">{earned(order)}</p>
          <Breakdown parts={rulesOf(order, quote)} />
          {order.spent > 0 && <p className="dust-muted">{t("thanksSpent", { points: order.spent })}</p>}
        </>
      )}
    </Section>
  )

  function earned({ earned, pending, state, matures_at: matures }: OrderPoints): string {
    if (!earned) return state === "pending" ? t("thanksLater") : ""
    const sentences = [t("thanksEarned", { points: earned })]
    if (pending) {
      if (pending < earned) sentences.push(t("thanksPending", { points: pending }))
      sentences.push(matures ? t("thanksPendingDate", { date: texts.date(matures) }) : t("thanksPendingPayment"))
    }
    return sentences.join(" ")
  }
}

/** The rules by which the order earned, if the last quote was its own. */
function rulesOf({ earned }: OrderPoints, quote: Quote | undefined): RulePart[] {
  return quote && !quote.guest && quote.earn === earned ? quote.breakdown : []
}
