import { renderToStaticMarkup } from "react-dom/server"
import { describe, expect, it, vi } from "vitest"
import { TextField } from "../src/admin/components/field"
import { de } from "../src/admin/i18n/de"

vi.mock("react-i18next", () => ({
  useTranslation: () => ({
    t: (key: string) => key.split(".").reduce<unknown>((texts, step) => (texts as Record<string, unknown>)[step], de),
  }),
}))

function rendered(error: string): string {
  return renderToStaticMarkup(<TextField label="Betrag" value="" onChange={() => undefined} error={error} />)
}

describe("an error at a field", () => {
  it("is in the language of the dashboard if it is a general one", () => {
    expect(rendered("Field required")).toContain(de.finding.missing)
  })

  it("stays as the server words it otherwise", () => {
    expect(rendered("This e-mail address is not valid.")).toContain("This e-mail address is not valid.")
  })
})
