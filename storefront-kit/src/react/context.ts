"use client"

import { createContext, useContext } from "react"
import type { DustActions } from "../actions.js"
import type {
  CartRedemption,
  CustomerQuote,
  DustError,
  DustResult,
  Forecast,
  ForecastItem,
  Products,
  Programme,
  Quote,
  Redemption,
} from "../types.js"
import type { Store } from "./store.js"
import type { Texts } from "./texts.js"

/** Where the result of an action is shown. */
export type Place = "checkout" | "account" | "referral"

/** Key of the last result in a place. */
export const noticeKey = (place: Place): string => `notice:${place}`

/** What an action ended with. */
export interface LastResult {
  error?: DustError
  text?: string
  /** The quote after it. */
  quote?: Quote
}

/** Whether a result in the checkout is over: its code has left the cart or another came, or an error's cart has changed. */
export function isOver({ quote: then, error }: LastResult, now: Quote | undefined): boolean {
  const about = (quote: CustomerQuote): unknown[] => [
    quote.redemptions.map(({ id }) => id),
    error && [quote.earn, quote.max_dust, quote.available, quote.dust_only_due],
  ]
  if (!then || !now || then.guest || now.guest) return false
  return JSON.stringify(about(then)) !== JSON.stringify(about(now))
}

export interface DustContextValue {
  store: Store
  actions: Partial<DustActions>
  texts: Texts
  dir?: "ltr" | "rtl"
  programme?: Programme
  /** Null for a guest, undefined if the shop did not say. */
  customerId?: string | null
  /** Do one thing at a time: show its result in `place`, then load again what is shown. */
  act<T>(place: Place, id: string, work: () => Promise<DustResult<T>>, done: (data: T) => string): Promise<boolean>
  redeem(request: CartRedemption): Promise<DustResult<Redemption>>
  forecastItem(item: ForecastItem): Promise<DustResult<Forecast["items"][number]>>
  productPrice(id: string): Promise<DustResult<Products[string] | null>>
  /** Tell the shop that the cart has changed, and load again what is shown. `error` is what the change ended with. */
  refresh(error?: DustError): Promise<void>
}

export const DustContext = createContext<DustContextValue | undefined>(undefined)

export function useDustContext(): DustContextValue {
  const value = useContext(DustContext)
  if (!value) throw new Error("Put <DustProvider> around the components of dust-storefront-kit/react.")
  return value
}
