import { keepPreviousData, useQuery } from "@tanstack/react-query"
import { admin } from "./dust"

// About 4 kB of ids; Node refuses a request whose head is above 16 kB.
const MAX_IDS = 100

/** What Medusa knows of a customer. Dust has ids only. */
export type Person = { id: string; email: string | null; first_name: string | null; last_name: string | null }

/** The name, else the e-mail address, else the id. */
export function nameOf({ id, email, first_name: first, last_name: last }: Person): string {
  return [first, last].filter(Boolean).join(" ") || email || id
}

/** The names of Medusa's users by id. Who is deleted is left out. */
export async function readUserNames(ids: string[]): Promise<Record<string, string>> {
  const users = await readByIds<Person>("users", ids, "id,email,first_name,last_name")
  return Object.fromEntries(users.map((user) => [user.id, nameOf(user)]))
}

/** The customers with these ids, by id. Empty until Medusa answers; customers that it has deleted are left out. */
export function usePeople(ids: string[]): Record<string, Person> {
  return useById("customers", ids, "id,email,first_name,last_name")
}

/** The numbers of these orders, such as `#18`, by id. Empty until Medusa answers. */
export function useOrderNumbers(ids: string[]): Record<string, string> {
  const orders = useById<{ id: string; display_id: number }>("orders", ids, "id,display_id")
  return Object.fromEntries(Object.values(orders).map(({ id, display_id: number }) => [id, `#${number}`]))
}

function useById<T extends { id: string }>(collection: "customers" | "orders", ids: string[], fields: string): Record<string, T> {
  const wanted = [...new Set(ids)].sort()
  const query = useQuery({
    queryKey: ["dust", collection, wanted],
    queryFn: () => readByIds<T>(collection, wanted, fields),
    enabled: wanted.length > 0,
    placeholderData: keepPreviousData,
  })
  return Object.fromEntries((query.data ?? []).map((row) => [row.id, row]))
}

async function readByIds<T>(collection: "customers" | "orders" | "users", ids: string[], fields: string): Promise<T[]> {
  const rows: T[] = []
  for (let start = 0; start < ids.length; start += MAX_IDS) {
    const page = ids.slice(start, start + MAX_IDS)
    const query = page.map((id) => `id[]=${encodeURIComponent(id)}`).join("&")
    rows.push(...(await admin<Record<string, T[]>>(`/${collection}?${query}&fields=${fields}&limit=${page.length}`))[collection])
  }
  return rows
}
