import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { QueryClient, QueryClientProvider, type QueryState } from "@tanstack/react-query"
import type { ReactNode } from "react"
import { renderToStaticMarkup } from "react-dom/server"
import { describe, expect, it, vi } from "vitest"
import { Deliveries } from "../src/admin/components/deliveries"
import { History } from "../src/admin/components/history"
import { OverviewFigures } from "../src/admin/components/overview"
import { Redemptions } from "../src/admin/components/redemptions"
import { DustError, dust, dustCsv, messageOf } from "../src/admin/lib/dust"

vi.mock("react-i18next", () => ({ useTranslation: () => ({ t: (key: string) => key }) }))
vi.mock("react-router-dom", () => ({ Link: () => null }))

const AWAY = new DustError({ code: "bridge_unavailable", detail: "Dust does not answer right now." }, 503)
const OVERVIEW = {
  outstanding: 4711,
  customers: 2,
  held: 0,
  open_redemptions: 0,
  pending: 0,
  expiring: 0,
  expiring_until: "2026-12-27T12:00:00Z",
  failed_events: 0,
  waiting_events: 0,
  oldest_waiting_event_at: null,
  unpaid_orders: [],
}

/** A component whose request has failed, with what an earlier one has found. */
function failed(queryKey: string[], component: ReactNode, data?: unknown, more: Partial<QueryState> = {}): string {
  const client = new QueryClient({ defaultOptions: { queries: { retryOnMount: false, staleTime: Infinity } } })
  const query = client.getQueryCache().build(client, { queryKey })
  const time = data === undefined ? {} : { dataUpdatedAt: Date.parse("2026-11-27T12:00:00Z") }
  query.setState({ status: "error", error: AWAY, data, ...time, ...more })
  return renderToStaticMarkup(<QueryClientProvider client={client}>{component}</QueryClientProvider>)
}

describe("after a failed request", () => {
  it("the filters of the deliveries stay", () => {
    const page = failed(["dust", "/deliveries"], <Deliveries />)
    expect(page).toContain("problems.bridge_unavailable")
    expect(page).toContain("deliveries.state")
    expect(page).toContain('placeholder="order.placed"')
  })

  it("a page that shows older figures says so", () => {
    const page = failed(["dust", "overview"], <OverviewFigures />, OVERVIEW)
    expect(page).toContain("4,711")
    expect(page).toContain("general.outdated problems.bridge_unavailable")
    expect(page).toContain("general.tryAgain")
  })

  it("a customer's history says so, and not that there is none", () => {
    const page = failed(["dust", "/customers/cus_1/transactions?limit=10"], <History customerId="cus_1" />)
    expect(page).toContain("problems.bridge_unavailable")
    expect(page).not.toContain("account.when")
  })

  it("a list whose next page could not be read keeps its rows and says so at the button", () => {
    const rows = [{ redemptions: [], next_cursor: null }, { redemptions: [], next_cursor: "2" }]
    const fetchMeta = { fetchMore: { direction: "forward" as const } }
    const row = {
      id: "dred_1",
      state: "failed",
      kind: "free_shipping",
      dust: 300,
      promotions: [],
      created_at: "2026-11-26T12:00:00Z",
      customer_id: "cus_1",
      reason: "The code was removed from the cart.",
    }
    const data = { pages: [{ ...rows[0], redemptions: [row] }, rows[1]], pageParams: ["", "1"] }
    const page = failed(["dust", "/redemptions"], <Redemptions />, data, { fetchMeta })
    expect(page).toContain("redemptions.states.failed")
    expect(page).toContain("problems.bridge_unavailable")
    expect(page).not.toContain("general.outdated")
    // The reason is there for everybody, and not only for those with a mouse.
    expect(page).toContain(">explanation.notes.leftTheCart<")
  })
})

it("a request that hangs ends, and says so", async () => {
  vi.stubGlobal("__BACKEND_URL__", "/")
  vi.stubGlobal("__AUTH_TYPE__", "session")
  const signal = vi.spyOn(AbortSignal, "timeout").mockImplementation(() => AbortSignal.abort(new DOMException("late", "TimeoutError")))
  vi.stubGlobal("fetch", (_: string, init: RequestInit) => Promise.reject(init.signal?.reason))
  const error = await dust("/overview").catch((reason: Error) => reason)
  expect(signal).toHaveBeenCalledWith(60_000)
  expect(messageOf(error as Error, (key) => key)).toBe("general.unreachable")
  signal.mockRestore()
  vi.unstubAllGlobals()
})

it("a table that is wider than the page scrolls by itself", () => {
  const folder = join(__dirname, "../src/admin/components")
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".tsx"))
  const cut = files.filter((name) => !name.endsWith("wide-table.tsx") && /<Table>/.test(readFileSync(join(folder, name), "utf8")))
  expect(files.length).toBeGreaterThan(40)
  expect(cut).toEqual([])
})

it("a page of a proxy is no report", async () => {
  vi.stubGlobal("__BACKEND_URL__", "/")
  vi.stubGlobal("__AUTH_TYPE__", "session")
  const answer = (type: string) => vi.stubGlobal("fetch", async () => new Response("day;points", { headers: { "content-type": type } }))
  answer("text/csv; charset=utf-8")
  expect(await dustCsv("/reports/closes?format=csv")).toBe("day;points")
  answer("text/html")
  const error = await dustCsv("/reports/closes?format=csv").catch((reason: Error) => reason)
  expect(messageOf(error as Error, (key) => key)).toBe("general.unreachable")
  expect(messageOf((await dust("/overview").catch((reason: Error) => reason)) as Error, (key) => key)).toBe("general.unreachable")
  vi.unstubAllGlobals()
})
