"use client"

import { useEffect, useMemo, useRef, useState, type ReactNode } from "react"
import type { DustActions } from "../actions.js"
import { newIdempotencyKey } from "../idempotency.js"
import type { Messages } from "../messages/en.js"
import type { Balance, CartRedemption, DustError, ForecastItem, Programme, Quote } from "../types.js"
import { DustContext, noticeKey, type DustContextValue, type LastResult, type Place } from "./context.js"
import { BUSY, createBatch, createStore, settled, UNREACHABLE } from "./store.js"
import { createTexts, wordOf, zoneOf } from "./texts.js"

export interface DustProviderProps {
  /** Server actions, or those of `createDustActions`. A component whose action is missing shows nothing. */
  actions: Partial<DustActions>
  /** The rules, read on the server. Loaded with `actions.programme` if missing. */
  programme?: Programme
  /** A BCP 47 tag such as `de-DE`; `en` if missing. */
  locale?: string
  /** Currency of the shop's prices, such as `eur`. */
  currency?: string
  /** `de`, or your own sentences. What is missing is English. */
  messages?: Partial<Messages>
  /** IANA time zone of all dates; the programme's if missing, in which points expire. */
  timeZone?: string
  /** Only needed if the page's direction is another one. */
  dir?: "ltr" | "rtl"
  /** Id of the signed-in customer, null for a guest. A change of it forgets all data. */
  customerId?: string | null
  /** What the server has read already, so that the first paint has it. */
  initial?: { balance?: Balance; quote?: Quote }
  /** Called after each redemption and release: read the cart again here, such as with `router.refresh()`. */
  onCartChange?: () => unknown
  children: ReactNode
}

const STALE_MS = 10_000
const MAX_ITEMS = 100

export function DustProvider(props: DustProviderProps) {
  const { actions, locale = "en", currency, messages, dir, customerId, initial, children } = props
  const live = useRef(props)
  const [shopper, setShopper] = useState(() => newShopper(customerId, initial))
  // Another customer: the data of the last one must not be shown for a moment.
  if (shopper.customerId !== customerId) setShopper(newShopper(customerId, initial))
  const [loadedProgramme, setLoadedProgramme] = useState<Programme>()
  const programme = props.programme ?? loadedProgramme
  const timeZone = props.timeZone ?? zoneOf(programme)
  const { store, keys } = shopper

  useEffect(() => {
    live.current = props
  })

  useEffect(() => {
    if (props.programme || !live.current.actions.programme) return
    let isMounted = true
    void settled(live.current.actions.programme).then(({ data }) => isMounted && data && setLoadedProgramme(data))
    return () => {
      isMounted = false
    }
  }, [props.programme])

  // The page was rendered again on the server: its data may be older than what was loaded since.
  const { balance, quote } = initial ?? {}
  useEffect(() => {
    if (shopper.balance !== balance || shopper.quote !== quote) void store.refresh()
  }, [balance, quote, shopper, store])

  // Another tab, or the way back from the order: what is shown may be old.
  useEffect(() => {
    let hiddenAt = 0
    function onVisibility(): void {
      if (document.visibilityState === "hidden") hiddenAt = Date.now()
      else if (Date.now() - hiddenAt > STALE_MS) void store.refresh()
    }
    function onPageShow(event: PageTransitionEvent): void {
      if (event.persisted) void store.refresh()
    }
    document.addEventListener("visibilitychange", onVisibility)
    window.addEventListener("pageshow", onPageShow)
    return () => {
      document.removeEventListener("visibilitychange", onVisibility)
      window.removeEventListener("pageshow", onPageShow)
    }
  }, [store])

  const texts = useMemo(
    () => createTexts({ locale, currency, timeZone, messages, name: wordOf(programme) }),
    [locale, currency, timeZone, messages, programme],
  )

  const value = useMemo((): DustContextValue => {
    async function refresh(error?: DustError): Promise<void> {
      // Without a connection Next.js would leave the page for the browser's own error page.
      const isOffline = error?.code === "unreachable" || !navigator.onLine
      await Promise.all([store.refresh(), isOffline || settledCall(() => live.current.onCartChange?.())])
    }

    return {
      store,
      actions,
      texts,
      dir,
      programme,
      customerId,
      refresh,
      async act(place: Place, id, work, done) {
        if (store.get<string>(BUSY).data) return false
        store.put(BUSY, id)
        store.put(noticeKey(place), undefined)
        const { data, error } = await settled(work)
        // The sentence stays until the next action, even if the component that started this one is gone.
        const result: LastResult = error ? { error } : { text: done(data) }
        store.put(noticeKey(place), result)
        await refresh(error)
        const quote = store.get<Quote>("quote")
        if (place === "checkout" && !quote.error) store.put(noticeKey(place), { ...result, quote: quote.data })
        store.put(BUSY, undefined)
        return !error
      },
      async redeem(request: CartRedemption) {
        const { redeem } = live.current.actions
        if (!redeem) return UNREACHABLE
        // Keep the key until the result of the last attempt is known: it may have succeeded.
        const requestKey = JSON.stringify(request)
        const key = keys.get(requestKey) ?? newIdempotencyKey()
        keys.set(requestKey, key)
        const result = await settled(() => redeem(request, key))
        if (!result.error || isDecided(result.error)) keys.delete(requestKey)
        return result
      },
      forecastItem: createBatch(MAX_ITEMS, async (items: ForecastItem[]) => {
        const { forecast } = live.current.actions
        if (!forecast || !currency) return UNREACHABLE
        const { data, error } = await forecast(currency.toLowerCase(), items)
        return error ? { error } : { data: data.items }
      }),
      productPrice: createBatch(MAX_ITEMS, async (ids: string[]) => {
        const { products } = live.current.actions
        if (!products) return UNREACHABLE
        const { data, error } = await products(ids)
        return error ? { error } : { data: ids.map((id) => data[id] ?? null) }
      }),
    }
  }, [store, keys, actions, texts, dir, programme, customerId, currency])

  // What happened while the connection was away is not known.
  useEffect(() => {
    const onOnline = () => void value.refresh()
    window.addEventListener("online", onOnline)
    return () => window.removeEventListener("online", onOnline)
  }, [value])

  return <DustContext.Provider value={value}>{children}</DustContext.Provider>
}

function newShopper(customerId: string | null | undefined, initial: DustProviderProps["initial"]) {
  return { ...initial, customerId, store: createStore({ ...initial }), keys: new Map<string, string>() }
}

/** Whether the request has certainly ended: the next click then gets a new key. */
function isDecided({ status = 0, code }: DustError): boolean {
  // A proxy's answer says nothing about the request, and a session may end while the code is made.
  const isOpen = code === "unavailable" || code === "not_authenticated" || status < 400 || status >= 500
  return !isOpen || code === "redemption_failed" || code === "redemption_released"
}

async function settledCall(call: () => unknown): Promise<void> {
  await settled(async () => ({ data: await call() }))
}
