"use client"

import { useEffect, useRef, useState } from "react"
import type { OrderPoints, Quote } from "../types.js"
import { useDustContext } from "./context.js"
import { Nudge } from "./guest-nudge.js"
import { useOrder, useStored } from "./hooks.js"
import { Breakdown, Section } from "./parts.js"
import type { MessageKey, Texts } from "./texts.js"

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
  const { data: order, error } = useOrder(orderId)
  // A guest's last quote has what the order keeps. A new cart has to get one of its own.
  const latest = useStored<Quote>("quote").data
  const [quote] = useState(latest)
  const looks = useRef(0)
  const isWaiting = Boolean(actions.order) && (!order || (order.state === "pending" && !order.earned))
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
    if (settledState || isGuest) void store.refresh()
  }, [settledState, isGuest, store])

  if (isGuest) return <Nudge {...hrefs} quote={quote} />
  if (!actions.order || (error && !order && looks.current >= LOOK_AGAIN_MS.length)) return null
  const sentence = order ? earnedBy(order, texts) : t("thanksWaiting")
  const rows: [MessageKey, number | undefined][] = [
    ["thanksTakenBack", order?.taken_back],
    ["thanksSpent", order?.spent],
    ["thanksGivenBack", order?.given_back],
  ]
  const shown = rows.filter(([, amount]) => amount)
  if (!sentence && !shown.length) return null
  return (
    <Section name="thanks" title={t("thanksTitle")} busy={!order}>
      {sentence && <p role="status">{sentence}</p>}
      {order && <Breakdown parts={order.breakdown} />}
      {shown.map(([key, amount = 0]) => (
        <p key={key} className="dust-muted">
          {t(key, { points: amount })}
        </p>
      ))}
    </Section>
  )
}

function earnedBy({ earned, pending, state, matures_at: matures }: OrderPoints, { t, date }: Texts): string {
  if (!earned) return state === "pending" ? t("thanksLater") : ""
  const sentences = [t("thanksEarned", { points: earned })]
  if (pending) {
    if (pending < earned) sentences.push(t("thanksPending", { points: pending }))
    sentences.push(matures ? t("thanksPendingDate", { date: date(matures) }) : t("thanksPendingPayment"))
  }
  return sentences.join(" ")
}
