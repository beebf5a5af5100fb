import { readFileSync } from "node:fs"
import { join } from "node:path"
import { QueryClient, QueryClientProvider } from "@tanstack/react-query"
import type { UseMutationResult } from "@tanstack/react-query"
import { renderToStaticMarkup } from "react-dom/server"
import { describe, expect, it, vi } from "vitest"
import { EditorContext, type Editor } from "../src/admin/components/programme/editor"
import { Rules } from "../src/admin/components/programme/form"
import { de } from "../src/admin/i18n/de"
import { en } from "../src/admin/i18n/en"
import type { Json } from "../src/admin/lib/document"
import type { FieldError } from "../src/admin/lib/field-errors"
import { CURRENCIES } from "../src/admin/lib/shop"
import type { DustProgramme } from "../src/types"

type Schema = {
  $ref?: string
  anyOf?: Schema[]
  items?: Schema
  properties?: Record<string, Schema>
}

// The tests run in a copy of the plugin too, which has no project around it.
const OPENAPI = process.env.OPENAPI ?? join(__dirname, "../../openapi.json")
const { schemas } = JSON.parse(readFileSync(OPENAPI, "utf8")).components as { schemas: Record<string, Schema> }
const READ_ONLY = ["version", "author", "created_at"]

/** The fields of a schema that hold values: `earn.multipliers.*.name`. */
function leaves(schema: Schema, at = ""): string[] {
  const named = schema.$ref ? schemas[schema.$ref.split("/").pop() as string] : schema
  const found = named.anyOf?.find((each) => each.$ref) ?? named
  if (found !== named) return leaves(found, at)
  if (named.properties) return Object.entries(named.properties).flatMap(([key, each]) => leaves(each, at ? `${at}.${key}` : key))
  return named.items?.$ref ? leaves(named.items, `${at}.*`) : [at]
}

const FREE_PRODUCT = {
  id: "free-mug",
  name: "A mug",
  kind: "free_product",
  dust: 500,
  percent: null,
  max_value: {},
  product_id: "prod_1",
  quantity: 2,
  min_cart: { eur: "5" },
  currency_codes: ["eur"],
}

/** Rules with an entry in every list, and a reward of every kind. */
const RULES: Json = {
  name: { one: "star", many: "stars" },
  time_zone: "UTC",
  earn: {
    rates: { eur: "1.5", xxx: "1" },
    basis: { include_tax: false, include_shipping: false, include_credit: true },
    rounding: "floor",
    when: "order.placed",
    pending_days: 0,
    pending_until_paid: false,
    expires_after_days: null,
    expiry_notice_days: 14,
    excluded_product_ids: ["prod_1", "prod_gone"],
    excluded_category_ids: [],
    excluded_collection_ids: [],
    fixed: [{ product_id: "prod_1", dust: 5 }],
    multipliers: [
      {
        name: "Double week",
        factor: "2",
        product_ids: [],
        category_ids: [],
        collection_ids: [],
        customer_group_ids: [],
        starts_at: null,
        ends_at: null,
      },
    ],
    limits: { per_order: null, per_day: null, per_customer: { dust: 1000, days: 30 } },
  },
  tiers: { basis: "spent", currency_code: "eur", window_days: 365, levels: [{ name: "Gold", from: "100", factor: "3", benefits: ["Tea"] }] },
  bonuses: { signup: 0, referral: { referrer: 0, referred: 0, min_earned: 0, max_per_30_days: null } },
  redeem: {
    rates: { eur: "100" },
    min_dust: 1,
    max_dust: null,
    max_share: "1",
    code_ttl_minutes: 60,
    rewards: [
      FREE_PRODUCT,
      { ...FREE_PRODUCT, kind: "percentage", percent: "10", product_id: null, quantity: null },
      { ...FREE_PRODUCT, kind: "free_shipping", product_id: null, quantity: null },
    ],
  },
  reversal: { negative_balance: "allow" },
  guests: { escrow_days: 90, claim: "transfer" },
}

vi.mock("react-i18next", () => ({
  useTranslation: () => ({
    t: (key: string, values: Record<string, string | number>) => {
      const plural = valueAtPath(en, `${key}_${values?.count === 1 ? "one" : "other"}`)
      const text = valueAtPath(en, key) ?? plural ?? values.defaultValue ?? key
      return String(text).replace(/\{\{(\w+)\}\}/g, (_, name) => String(values[name]))
    },
  }),
}))

function valueAtPath(texts: object, key: string): unknown {
  return key.split(".").reduce<unknown>((found, step) => (found as Record<string, unknown> | undefined)?.[step], texts)
}

function rendered(errors: FieldError[] = []): string {
  const client = new QueryClient()
  client.setQueryData(CURRENCIES, [{ code: "eur", digits: 2 }])
  client.setQueryData(["dust", "names", "products", ["prod_1", "prod_gone"]], { prod_1: "Mug" })
  client.setQueryData(["dust", "names", "products", ["prod_1"]], { prod_1: "Mug" })
  const editor: Editor = {
    base: {} as DustProgramme,
    document: RULES,
    draft: null,
    unsaved: false,
    errors,
    change: () => undefined,
    begin: () => undefined,
    load: () => undefined,
    save: {} as UseMutationResult<DustProgramme, Error, number>,
    showErrors: () => undefined,
  }
  return renderToStaticMarkup(
    <QueryClientProvider client={client}>
      <EditorContext.Provider value={editor}>
        <Rules />
      </EditorContext.Provider>
    </QueryClientProvider>,
  )
}

function fieldsIn(page: string): string[] {
  return [...page.matchAll(/data-field="([^"]+)"/g)].map(([, field]) => field)
}

const inAnyEntry = (field: string): string => field.replace(/\.\d+(?=\.|$)/g, ".*")

describe("the form of the rules", () => {
  const wanted = leaves(schemas.ProgrammeResponse).filter((field) => !READ_ONLY.includes(field))
  const page = rendered()

  it("has a field for every rule of the schema", () => {
    const found = new Set(fieldsIn(page).map(inAnyEntry))
    expect(wanted.length).toBeGreaterThanOrEqual(60)
    expect(wanted.filter((field) => !found.has(field))).toEqual([])
  })

  it("has a label for every rule, in both languages", () => {
    const labels = (texts: object): string[] =>
      wanted.filter((field) => !valueAtPath(texts, `rules.field.${field.replace(/\.\*/g, "")}.label`))
    expect(labels(en)).toEqual([])
    expect(labels(de)).toEqual([])
    expect(page).not.toContain("rules.")
    expect(page).not.toContain("finding.")
  })

  it("says at each field what is wrong with it", () => {
    const fields = fieldsIn(page)
    const withErrors = rendered(fields.map((field) => ({ field, message: `wrong: ${field}.` })))
    expect(fields.filter((field) => !SWITCHES.has(field) && !withErrors.includes(`wrong: ${field}.<`))).toEqual([])
  })

  it("ties to each field what is wrong with it, for screen readers", () => {
    const withErrors = rendered(fieldsIn(page).map((field) => ({ field, message: `wrong: ${field}.` })))
    const invalid = [...withErrors.matchAll(/<[^>]*aria-invalid="true"[^>]*>/g)].map(([tag]) => tag)
    expect(invalid.length).toBeGreaterThan(40)
    const notes = new Map([...withErrors.matchAll(/id="([^"]*-note)"[^>]*>(.*?)<\/span>/g)].map(([, id, text]) => [id, text]))
    const untied = invalid.filter((tag) => !notes.get(/aria-describedby="([^"]+)"/.exec(tag)?.[1] ?? "")?.includes("wrong: "))
    expect(untied).toEqual([])
  })

  it("points at no note that is not there", () => {
    const ids = new Set([...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id))
    const described = [...page.matchAll(/aria-describedby="([^" ]+)"/g)].map(([, id]) => id)
    expect(described.filter((id) => !ids.has(id))).toEqual([])
  })

  it("shows names for ids, and says which thing or currency the shop no longer has", () => {
    expect(page).toContain("Mug")
    expect(page).not.toContain(">prod_1<")
    expect(page).toContain("deleted: prod_gone")
    expect(page).toContain("deleted: XXX")
  })

  it("shows what the numbers mean", () => {
    expect(page).toContain("An order of 50.00 EUR earns 75 points.")
    expect(page).toContain("An order of 50.00 EUR earns 150 points.")
    expect(page).toContain("An order of 50.00 EUR earns 225 points.")
    expect(page).toContain("500 points are worth 5.00 EUR.")
  })
})

// They have two values only, neither of which is wrong.
const SWITCHES = new Set([
  "earn.basis.include_tax",
  "earn.basis.include_shipping",
  "earn.basis.include_credit",
  "earn.pending_until_paid",
  "earn.limits.per_customer",
])

describe("the examples", () => {
  it("have amounts as the dashboard's language writes them", () => {
    expect(rendered()).toContain("An order of 50.00 EUR earns 75 points.")
    vi.stubGlobal("document", { documentElement: { lang: "de" } })
    vi.stubGlobal("navigator", { languages: ["de-DE"] })
    const page = rendered()
    vi.unstubAllGlobals()
    expect(page).toContain("An order of 50,00 EUR earns 75 points.")
    expect(page).toContain("500 points are worth 5,00 EUR.")
  })
})
