import { QueryClient, QueryClientProvider } from "@tanstack/react-query"
import type { UseMutationResult } from "@tanstack/react-query"
import type { ReactNode } from "react"
import { renderToStaticMarkup } from "react-dom/server"
import { describe, expect, it, vi } from "vitest"
import { DraftNote } from "../src/admin/components/programme-drafts/draft-note"
import { Drafts } from "../src/admin/components/programme-drafts/drafts"
import { SaveButtons } from "../src/admin/components/programme-drafts/save-buttons"
import { ProgrammeHistory } from "../src/admin/components/programme-history/history"
import { EditorContext, type Editor } from "../src/admin/components/programme/editor"
import { en } from "../src/admin/i18n/en"
import { VERSIONS_PATH } from "../src/admin/lib/differences"
import type { DustDraft, DustProgramme } from "../src/types"

vi.mock("react-i18next", () => ({
  useTranslation: () => ({
    t: (key: string, values: Record<string, string | number>) => {
      const found = key.split(".").reduce<unknown>((texts, step) => (texts as Record<string, unknown> | undefined)?.[step], en)
      const text = typeof found === "string" ? found : (values.defaultValue ?? key)
      return String(text).replace(/\{\{(\w+)\}\}/g, (_, name) => String(values[name]))
    },
  }),
}))

vi.mock("react-router-dom", () => ({ useBlocker: vi.fn(), useSearchParams: () => [new URLSearchParams(), vi.fn()] }))

function version(number: number, author: string, eur: string): object {
  return { version: number, author, created_at: "2026-11-26T12:00:00Z", earn: { rates: { eur } } }
}

const DRAFT = {
  id: "ddraft_1",
  name: "Black Friday",
  author: "user_1",
  updated_at: "2026-11-26T12:00:00Z",
  starts_at: "2026-11-27T00:00:00Z",
  reason: "Version 4 has changed the same rules.",
  version: 4,
  conflicts: ["earn.rates.eur"],
} as unknown as DustDraft

function rendered(shown: ReactNode, { draft = null as DustDraft | null, unsaved = false, next = null as string | null } = {}): string {
  const client = new QueryClient()
  const versions = [version(3, "user_1", "3"), version(2, "service", "2"), version(1, "user_gone", "1")]
  if (!next) versions.push({ ...version(0, "dust", "1"), created_at: null })
  client.setQueryData(["dust", VERSIONS_PATH], { pages: [{ versions, next_cursor: next }], pageParams: [""] })
  client.setQueryData(["dust", "users", ["user_1", "user_gone"]], { user_1: "Ann Miller" })
  client.setQueryData(["dust", "users", ["user_1"]], { user_1: "Ann Miller" })
  client.setQueryData(["dust", "/programme/drafts"], { drafts: [DRAFT] })
  const editor: Editor = {
    base: version(3, "user_1", "3") as DustProgramme,
    document: {},
    draft,
    unsaved,
    errors: [],
    change: () => undefined,
    begin: () => undefined,
    load: () => undefined,
    save: {} as UseMutationResult<DustProgramme, Error, number>,
    showErrors: () => undefined,
  }
  return renderToStaticMarkup(
    <QueryClientProvider client={client}>
      <EditorContext.Provider value={editor}>{shown}</EditorContext.Provider>
    </QueryClientProvider>,
  )
}

describe("the history of the rules", () => {
  it("names author and changes of each version, in the words of the form", () => {
    const page = rendered(<ProgrammeHistory />)
    for (const text of ["By Ann Miller on", "By an API client on", "By user_gone on", "The defaults", "In force until the first version."]) {
      expect(page).toContain(text)
    }
    expect(page).toContain("Points for each unit of money (EUR): 2 → 3")
    expect(page).toContain("Points for each unit of money (EUR): 1 → 2")
  })

  it("restores every version but the one in force", () => {
    const page = rendered(<ProgrammeHistory />)
    expect(page).toContain('aria-label="Restore version 2"')
    expect(page).toContain('aria-label="Restore version 1"')
    expect(page).toContain('aria-label="Restore the defaults"')
    expect(page).not.toContain('aria-label="Restore version 3"')
  })

  it("shows the last one of a page once the one before it is there", () => {
    const page = rendered(<ProgrammeHistory />, { next: "more" })
    expect(page).toContain("Version 2")
    expect(page).not.toContain("Version 1<")
    expect(page).not.toContain("The defaults")
  })
})

describe("drafts", () => {
  it("are listed with author, start and why one could not start", () => {
    const page = rendered(<Drafts />)
    for (const text of ["Black Friday", "by Ann Miller", "Could not start: Version 4 has changed the same rules."]) {
      expect(page).toContain(text)
    }
    expect(page).toContain('aria-label="Actions for Black Friday"')
  })

  it("say above the form what they conflict with, by the label of the field", () => {
    expect(rendered(<DraftNote />)).toBe("")
    const page = rendered(<DraftNote />, { draft: DRAFT })
    expect(page).toContain("You are changing the draft “Black Friday”")
    expect(page).toContain("since the draft was made: Points for each unit of money (EUR).")
  })

  it("are saved as drafts, and only rules that are no draft are put in force by the form", () => {
    const rules = rendered(<SaveButtons />, { unsaved: true })
    expect(rules).toContain("Save as draft")
    expect(rules).toContain('type="submit"')
    const draft = rendered(<SaveButtons />, { unsaved: true, draft: DRAFT })
    expect(draft).toContain("Save draft")
    expect(draft).not.toContain('type="submit"')
  })
})
