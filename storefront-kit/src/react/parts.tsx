"use client"

import { useEffect, useId, useRef, useState, type ReactNode, type Ref } from "react"
import type { DustResult, RulePart } from "../types.js"
import { noticeKey, useDustContext, type Place } from "./context.js"
import { useNotice, useStored } from "./hooks.js"
import { CLOCK } from "./store.js"

interface SectionProps {
  name: string
  title: string
  titleRef?: Ref<HTMLHeadingElement>
  aside?: ReactNode
  busy?: boolean
  children: ReactNode
}

/** A titled block. Its title takes the focus when the button that had it is gone. */
export function Section({ name, title, titleRef, aside, busy, children }: SectionProps) {
  const { dir } = useDustContext()
  const id = useId()
  const focused = useRef<Element | null>(null)

  useEffect(() => {
    if (!focused.current || focused.current.isConnected) return
    focused.current = null
    if (document.activeElement === document.body) document.getElementById(id)?.focus({ preventScroll: true })
  })

  return (
    <section
      className={`dust dust-card dust-${name}`}
      dir={dir}
      aria-labelledby={id}
      aria-busy={busy || undefined}
      onFocus={({ target }) => (focused.current = target)}
      onBlur={({ target }) => target.isConnected && (focused.current = null)}
    >
      <header className="dust-header">
        <h2 className="dust-title" id={id} ref={titleRef} tabIndex={-1}>
          {title}
        </h2>
        {aside}
      </header>
      {children}
    </section>
  )
}

/** Keeps the place of what is not loaded yet. */
export function Skeleton({ name, title }: { name: string; title: string }) {
  return (
    <Section name={name} title={title} busy>
      <div className="dust-skeleton" aria-hidden="true" />
      <div className="dust-skeleton" aria-hidden="true" />
    </Section>
  )
}

/** The result of the last action, scrolled into sight, and read out by screen readers. */
export function Notice({ place }: { place: Place }) {
  const { store } = useDustContext()
  const { error, text } = useNotice(place)
  const box = useRef<HTMLDivElement>(null)
  const sentence = error ?? text
  const last = useRef(sentence)

  useEffect(() => {
    if (sentence && sentence !== last.current) box.current?.scrollIntoView?.({ block: "nearest" })
    last.current = sentence
  }, [sentence])

  // On the next page, or for the next cart, it would be old.
  useEffect(() => store.keepWhileShown(noticeKey(place)), [store, place])

  return (
    <div className="dust-notices" ref={box}>
      <div role="alert">{error && <p className="dust-notice dust-notice-error">{error}</p>}</div>
      <div role="status">{text && <p className="dust-notice dust-notice-success">{text}</p>}</div>
    </div>
  )
}

/** Run an action, and keep the focus where the shopper was, or at the title when the button has gone. */
export function useAct(place: Place) {
  const { act, actions, texts } = useDustContext()
  const { release } = actions
  const titleRef = useRef<HTMLHeadingElement>(null)
  async function run<T>(id: string, work: () => Promise<DustResult<T>>, done: (data: T) => string): Promise<boolean> {
    const before = document.activeElement
    const hasWorked = await act(place, id, work, done)
    setTimeout(() => {
      const after = document.activeElement
      if (after && after !== document.body && after.isConnected && !after.matches(":disabled")) return
      const canReturn = before instanceof HTMLElement && before.isConnected && !before.matches(":disabled")
      ;(canReturn && before !== document.body ? before : titleRef.current)?.focus({ preventScroll: true })
    })
    return hasWorked
  }
  /** Release a redemption; undefined if the shop has no action for it. */
  const remove = release && ((id: string): void => void run(id, () => release(id), () => texts.t("removed")))
  /** Load again what is shown, which every action does at its end. */
  const tryAgain = (): void => void run("refresh", async () => ({ data: undefined }), () => "")
  return { run, remove, tryAgain, titleRef }
}

const SECONDS_PER_DAY = 86_400
const LOOK_AGAIN_MS = 5_000
const MAX_LOOKS = 12

/** How long a code is valid. At the end the quote is loaded again, until the code has left it. */
export function Countdown({ until }: { until: string }) {
  const { texts, refresh } = useDustContext()
  const { t } = texts
  const ahead = useStored<number>(CLOCK).data ?? 0
  // Unknown in the first render, which has to be the server's.
  const [now, setNow] = useState<number>()
  const left = now === undefined ? undefined : Math.max(0, Math.ceil((Date.parse(until) - now - ahead) / 1000))
  const hasEnded = left === 0
  const latestRefresh = useRef(refresh)

  useEffect(() => {
    latestRefresh.current = refresh
  })

  useEffect(() => {
    setNow(Date.now())
    if (hasEnded) return
    const timer = setInterval(() => setNow(Date.now()), 1000)
    return () => clearInterval(timer)
  }, [until, hasEnded])

  useEffect(() => {
    if (!hasEnded) return
    void latestRefresh.current()
    let looks = 1
    const timer = setInterval(() => {
      if (++looks >= MAX_LOOKS) clearInterval(timer)
      void latestRefresh.current()
    }, LOOK_AGAIN_MS)
    return () => clearInterval(timer)
  }, [hasEnded])

  if (hasEnded) return <span className="dust-muted">{t("ended")}</span>
  const text =
    left === undefined || left > SECONDS_PER_DAY
      ? t("validUntil", { date: texts.dateTime(until) })
      : t("validFor", { time: clock(left) })
  return (
    <time className="dust-muted dust-countdown" dateTime={until} role="timer">
      {text}
    </time>
  )
}

/** 3,672 seconds are "1:01:12". */
function clock(seconds: number): string {
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
  const shown = parts[0] ? parts : parts.slice(1)
  return shown.map((part, index) => (index ? String(part).padStart(2, "0") : String(part))).join(":")
}

/** Points by the rules that give them. */
export function Breakdown({ parts }: { parts: RulePart[] }) {
  const { texts } = useDustContext()
  if (parts.length < 2) return null
  return (
    <details className="dust-details">
      <summary>{texts.t("earnDetails")}</summary>
      <dl className="dust-pairs">
        {parts.map(({ rule, dust }) => (
          <div key={rule}>
            <dt>{texts.rule(rule)}</dt>
            <dd>{texts.number(dust)}</dd>
          </div>
        ))}
      </dl>
    </details>
  )
}
