"use client"

import { useCallback, useEffect, useRef, useSyncExternalStore } from "react"
import type { Balance, CartRedemption, DustResult, Forecast, ForecastItem, OrderPoints, Programme, Quote } from "../types.js"
import { isOver, noticeKey, useDustContext, type LastResult, type Place } from "./context.js"
import { AVAILABLE, BUSY, settled, UNREACHABLE, type Entry, type Load } from "./store.js"
import type { Texts } from "./texts.js"

const NOTHING: Entry<never> = { loading: false }

interface ResourceOptions<T> {
  /** What the server has read. */
  initial?: T
  /** Load again when it changes. */
  version?: unknown
  /** Load once and keep: it does not change while the shopper is here. */
  once?: boolean
}

/** A resource of the store: loaded after the first render, and kept up to date while the component is shown. */
export function useResource<T>(key: string, action: Load<T> | undefined, options: ResourceOptions<T> = {}): Entry<T> {
  const { store } = useDustContext()
  const { initial, version, once } = options
  const latest = useRef(action)
  const known = useStored<T>(key)
  const isAvailable = action !== undefined

  useEffect(() => {
    latest.current = action
  })

  useEffect(() => {
    if (!isAvailable) return
    const load: Load<T> = () => (latest.current as Load<T>)()
    const hasChanged = store.hasChanged(key, version)
    if (store.get(key).data === undefined && initial !== undefined) {
      store.put(key, initial)
      if (store.wasForgotten(key)) void store.load(key, load)
    } else if (hasChanged) void store.load(key, load)
    else if (!once || store.get(key).data === undefined) store.ensure(key, load)
    return once ? undefined : store.watch(key, load)
  }, [store, key, version, once, initial, isAvailable])

  if (!isAvailable) return NOTHING
  if (known.data === undefined && known.error === undefined && initial !== undefined) return { data: initial, loading: false }
  return known
}

/** A value of the store, without loading it. */
export function useStored<T>(key: string): Entry<T> {
  const { store } = useDustContext()
  return useSyncExternalStore(
    store.subscribe,
    () => store.get<T>(key),
    () => store.getFirst<T>(key),
  )
}

export interface UseDust extends Pick<Texts, "t" | "points" | "money" | "date"> {
  programme?: Programme
  customerId?: string | null
  /** True while a redemption or a release is running. */
  busy: boolean
  /** Redeem for the shopper's cart; twice with one key redeems once. */
  redeem(request: CartRedemption): Promise<DustResult<unknown>>
  release(id: string): Promise<DustResult<unknown>>
  /** Reload everything that is shown: call it after a change of the cart. */
  refresh(): Promise<void>
}

/** Texts and actions for components of your own. */
export function useDust(): UseDust {
  const { texts, programme, customerId, actions, redeem, store, refresh } = useDustContext()
  const { t, points, money, date } = texts
  const busy = Boolean(useStored<string>(BUSY).data)
  return {
    t,
    points,
    money,
    date,
    programme,
    customerId,
    busy,
    async redeem(request) {
      const result = await redeem(request)
      await refresh(result.error)
      return result
    },
    async release(id) {
      const result = await settled(async () => actions.release?.(id) ?? UNREACHABLE)
      await refresh(result.error)
      return result
    },
    refresh: useCallback(() => store.refresh(), [store]),
  }
}

/** The customer's balance, and what can be spent now. Without data for guests. */
export function useBalance(initial?: Balance): Entry<Balance> & { available?: number } {
  const { actions, customerId } = useDustContext()
  const entry = useResource("balance", customerId === null ? undefined : actions.balance, { initial })
  const available = useStored<number>(AVAILABLE)
  return { ...entry, available: available.data ?? (entry.data && entry.data.available) }
}

/** What the cart earns and takes. Pass a `version` that changes with the cart, see `CheckoutPanel`. */
export function useQuote(version?: unknown, initial?: Quote): Entry<Quote> {
  const { actions } = useDustContext()
  return useResource("quote", actions.quote, { initial, version })
}

/** What an order has earned and used. `ThankYou` on the same page asks again until Dust has heard of the order. */
export function useOrder(orderId: string): Entry<OrderPoints> {
  const { actions, customerId } = useDustContext()
  const read = customerId === null ? undefined : actions.order
  return useResource(`order:${orderId}`, read && (() => read(orderId)))
}

/** What products would earn together in one order. */
export function useForecast(items: ForecastItem[]): Entry<Forecast> {
  const { actions, texts } = useDustContext()
  const { forecast } = actions
  const { currency } = texts
  const isPossible = forecast && currency && items.length > 0
  return useResource(
    `forecast:${currency}:${JSON.stringify(items)}`,
    isPossible ? () => forecast(currency.toLowerCase(), items) : undefined,
    { once: true },
  )
}

/** What the last action in a place ended with, as a sentence, as long as it is true. */
export function useNotice(place: Place): { error?: string; text?: string } {
  const { texts } = useDustContext()
  const result = useStored<LastResult | undefined>(noticeKey(place)).data ?? {}
  const quote = useStored<Quote>("quote").data
  if (isOver(result, quote)) return {}
  return { text: result.text, error: result.error && texts.error(result.error) }
}

/** The id of the running action; undefined if none runs. */
export function useBusy(): string | undefined {
  return useStored<string | undefined>(BUSY).data
}
