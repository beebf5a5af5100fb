import { QueryClient, QueryClientProvider } from "@tanstack/react-query"
import type { ReactNode } from "react"
import { renderToStaticMarkup } from "react-dom/server"
import { describe, expect, it, vi } from "vitest"
import { Redemptions } from "../src/admin/components/redemptions"
import { en } from "../src/admin/i18n/en"

vi.mock("react-i18next", () => ({
  useTranslation: () => ({
    t: (key: string) => key.split(".").reduce<unknown>((texts, step) => (texts as Record<string, unknown>)[step], en),
  }),
}))
vi.mock("react-router-dom", () => ({
  Link: ({ to, children }: { to: string; children: ReactNode }) => <a href={to}>{children}</a>,
}))

const REDEMPTION = {
  state: "captured",
  kind: "free_shipping",
  dust: 300,
  dust_captured: 300,
  promotions: [],
  created_at: "2026-11-26T12:00:00Z",
}
const REDEMPTIONS = [
  { ...REDEMPTION, id: "dred_1", customer_id: "cus_1", order_id: "order_1" },
  { ...REDEMPTION, id: "dred_2", customer_id: "cus_gone", order_id: "order_gone" },
]

function rendered(known: { customers?: object[]; orders?: object[] }): string {
  const client = new QueryClient()
  client.setQueryData(["dust", "/redemptions"], { pages: [{ redemptions: REDEMPTIONS, next_cursor: null }], pageParams: [""] })
  client.setQueryData(["dust", "customers", ["cus_1", "cus_gone"]], known.customers)
  client.setQueryData(["dust", "orders", ["order_1", "order_gone"]], known.orders)
  return renderToStaticMarkup(
    <QueryClientProvider client={client}>
      <Redemptions />
    </QueryClientProvider>,
  )
}

describe("the redemptions", () => {
  const customers = [{ id: "cus_1", email: "ann@example.com", first_name: "Ann", last_name: "Miller" }]

  it("name their customers and show the numbers of their orders", () => {
    const page = rendered({ customers, orders: [{ id: "order_1", display_id: 18 }] })
    expect(page).toContain('<a href="/customers/cus_1">Ann Miller</a>')
    expect(page).toContain('<a href="/orders/order_1">#18</a>')
  })

  it("have a word for what Medusa has not, or not yet, told of", () => {
    const page = rendered({ customers, orders: [] })
    expect(page).toContain('<a href="/customers/cus_gone">Customer</a>')
    expect(page).toContain('<a href="/orders/order_1">Order</a>')
    expect(rendered({})).toContain('<a href="/customers/cus_1">Customer</a>')
  })
})
