import { QueryClient, QueryClientProvider } from "@tanstack/react-query"
import { renderToStaticMarkup } from "react-dom/server"
import { expect, it, vi } from "vitest"
import { Events } from "../src/admin/components/operations/events"
import { DustError } from "../src/admin/lib/dust"

vi.mock("react-i18next", () => ({ useTranslation: () => ({ t: (key: string) => key }) }))
vi.mock("react-router-dom", () => ({ Link: () => null }))

it("says at the field what it wants, when what was pasted is not an id", () => {
  const client = new QueryClient({ defaultOptions: { queries: { retryOnMount: false } } })
  const query = client.getQueryCache().build(client, { queryKey: ["dust", "/events?state=failed"] })
  const errors = [{ field: "subject", message: "String should match pattern '^[A-Za-z0-9][A-Za-z0-9_-]*$'" }]
  query.setState({ status: "error", error: new DustError({ detail: "subject: String should match pattern", errors }, 422) })

  const page = renderToStaticMarkup(
    <QueryClientProvider client={client}>
      <Events />
    </QueryClientProvider>,
  )

  expect(page).toContain("events.subjectWrong")
  expect(page).not.toContain("String should match")
})
