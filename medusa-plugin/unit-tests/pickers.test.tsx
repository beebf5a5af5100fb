import { QueryClient, QueryClientProvider } from "@tanstack/react-query"
import { renderToStaticMarkup } from "react-dom/server"
import { expect, it, vi } from "vitest"
import { Search } from "../src/admin/components/programme/picker"
import { MAX_FOUND } from "../src/admin/lib/shop"

vi.mock("react-i18next", () => ({ useTranslation: () => ({ t: (key: string) => key }) }))

function searchThatFinds(count: number): string {
  const client = new QueryClient()
  const things = Array.from({ length: count }, (_, number) => ({ id: `prod_${number}`, name: `Product ${number}` }))
  client.setQueryData(["dust", "search", "products", ""], things)
  return renderToStaticMarkup(
    <QueryClientProvider client={client}>
      <Search kind="products" ids={[]} toggle={() => undefined} />
    </QueryClientProvider>,
  )
}

it("says that there may be more than it shows", () => {
  expect(searchThatFinds(MAX_FOUND)).toContain("rules.moreFound")
  expect(searchThatFinds(MAX_FOUND - 1)).not.toContain("rules.moreFound")
})
