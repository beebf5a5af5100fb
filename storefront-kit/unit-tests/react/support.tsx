import { act, cleanup, render } from "@testing-library/react"
import type { ReactNode } from "react"
import { afterEach, vi } from "vitest"
import type { DustActions } from "../../src/index.js"
import { DustProvider, type DustProviderProps } from "../../src/react/index.js"
import { BALANCE, inMinutes, ORDER, PROGRAMME, QUOTE, REDEMPTION, TRANSACTION } from "../samples.js"

export * from "../samples.js"

afterEach(cleanup)
afterEach(() => vi.useRealTimers())

export const ok = <T,>(data: T) => Promise.resolve({ data })
export const failing = (code: string, message = "", status?: number) => () =>
  Promise.resolve({ error: { code, message, ...(status && { status }) } })

/** Actions that answer with the values above. */
export function actionsWith(overrides: Partial<DustActions> = {}) {
  const defaults: Partial<DustActions> = {
    balance: () => ok(BALANCE),
    quote: () => ok(QUOTE),
    redeem: () => ok(REDEMPTION),
    release: () => ok({ ...REDEMPTION, state: "released" as const }),
    transactions: () => ok({ transactions: [TRANSACTION], next_cursor: null }),
    redemptions: () => ok({ redemptions: [REDEMPTION], next_cursor: null, now: inMinutes(0) }),
    forecast: (_currency, items) =>
      ok({ items: items.map(({ product_id }) => ({ product_id, earn: 20, breakdown: [] })), total: 20 * items.length }),
    products: (ids) => ok(Object.fromEntries(ids.map((id) => [id, { dust_only: false, dust_price: 900 }]))),
    order: () => ok(ORDER),
    referral: () =>
      ok({
        code: "FRIEND7",
        offer: { referrer: 100, referred: 50 },
        referred_by: null,
        brought: { stated: 2, qualified: 1, dust: 100, notes: [] },
      }),
  }
  const all = { ...defaults, ...overrides }
  return Object.fromEntries(
    Object.entries(all).map(([name, action]) => [name, action && vi.fn(action as (...given: never[]) => unknown)]),
  ) as { [K in keyof DustActions]: ReturnType<typeof vi.fn<DustActions[K]>> }
}

type ProviderProps = Omit<DustProviderProps, "children">

/** The components below a provider with an English shop in euros that calls its points stars. */
export function Shop({ children, ...props }: Partial<ProviderProps> & { children: ReactNode }) {
  return (
    <DustProvider actions={actionsWith()} programme={PROGRAMME} locale="en" currency="eur" {...props}>
      {children}
    </DustProvider>
  )
}

/** Render, and wait until everything has been loaded. */
export async function show(children: ReactNode, props: Partial<ProviderProps> = {}) {
  const actions = props.actions ?? actionsWith()
  const rendered = render(
    <Shop {...props} actions={actions}>
      {children}
    </Shop>,
  )
  await settle()
  return { ...rendered, actions: actions as ReturnType<typeof actionsWith> }
}

/** Let promises and zero timers run. */
export async function settle(): Promise<void> {
  await act(async () => {
    if (vi.isFakeTimers()) await vi.advanceTimersByTimeAsync(1)
    else await new Promise((resolve) => setTimeout(resolve, 5))
  })
}
