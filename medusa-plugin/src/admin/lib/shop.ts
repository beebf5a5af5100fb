import { useQuery, type UseQueryResult } from "@tanstack/react-query"
import { admin } from "./dust"

/** A kind of record in Medusa that rules name by id. */
export type Kind = "products" | "categories" | "collections" | "customer_groups"
export type MedusaRecord = { id: string; name: string }
export type Currency = { code: string; digits: number }

// What each list of Medusa's Admin API is called in the address and in the answer, and what it calls a record's name.
const LISTS: Record<Kind, { path: string; key: string; name: string }> = {
  products: { path: "/products", key: "products", name: "title" },
  categories: { path: "/product-categories", key: "product_categories", name: "name" },
  collections: { path: "/collections", key: "collections", name: "title" },
  customer_groups: { path: "/customer-groups", key: "customer_groups", name: "name" },
}
export const MAX_FOUND = 20
// Keeps an address below 2,000 characters.
const IDS_IN_ADDRESS = 40

/** The first records of a kind whose name contains `text`. */
export async function searchRecords(kind: Kind, text: string): Promise<MedusaRecord[]> {
  return readRecords(kind, `limit=${MAX_FOUND}${text.trim() && `&q=${encodeURIComponent(text.trim())}`}`)
}

/** The names of records by id. What the shop no longer has is left out. */
export async function readNames(kind: Kind, ids: string[]): Promise<Record<string, string>> {
  const starts = ids.map((_, index) => index).filter((index) => index % IDS_IN_ADDRESS === 0)
  const pages = starts.map((start) => {
    const page = ids.slice(start, start + IDS_IN_ADDRESS)
    return readRecords(kind, `limit=${page.length}&${page.map((id) => `id[]=${encodeURIComponent(id)}`).join("&")}`)
  })
  return Object.fromEntries((await Promise.all(pages)).flat().map(({ id, name }) => [id, name]))
}

async function readRecords(kind: Kind, query: string): Promise<MedusaRecord[]> {
  const { path, key, name } = LISTS[kind]
  const answer = await admin<Record<string, Record<string, string>[]>>(`${path}?fields=id,${name}&${query}`)
  return answer[key].map((record) => ({ id: record.id, name: record[name] }))
}

type Stores = { stores: { supported_currencies: { currency_code: string; currency: { decimal_digits: number } }[] }[] }

export const CURRENCIES = ["dust", "currencies"]

/** The currencies of the shop. */
export function useCurrencies(): UseQueryResult<Currency[]> {
  return useQuery({
    queryKey: CURRENCIES,
    queryFn: async () => {
      const { stores } = await admin<Stores>("/stores?fields=id,*supported_currencies,*supported_currencies.currency")
      return stores.flatMap(({ supported_currencies: currencies }) =>
        currencies.map(({ currency_code: code, currency }) => ({ code, digits: currency.decimal_digits })),
      )
    },
  })
}

/** What a picker shows for an id: the name; `null` if the shop no longer has the record; the id while that is unknown. */
export function shownName(id: string, names: Record<string, string> | undefined): string | null {
  return names ? (names[id] ?? null) : id
}
