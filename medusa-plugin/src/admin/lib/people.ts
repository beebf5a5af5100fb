import { admin } from "./dust"

/** What Medusa knows of a customer. Dust has ids only. */
export type Person = { id: string; email: string | null; first_name: string | null; last_name: string | null }

/** The name, else the e-mail address, else the id. */
export function nameOf({ id, email, first_name: first, last_name: last }: Person): string {
  return [first, last].filter(Boolean).join(" ") || email || id
}

/** The customers with these ids, by id. Customers that Medusa has deleted are left out. */
export async function readPeople(ids: string[]): Promise<Record<string, Person>> {
  const query = `${ids.map((id) => `id[]=${id}`).join("&")}&fields=id,email,first_name,last_name&limit=${ids.length}`
  const { customers } = await admin<{ customers: Person[] }>(`/customers?${query}`)
  return Object.fromEntries(customers.map((person) => [person.id, person]))
}

/** The names of Medusa's users by id. Who is deleted is left out. */
export async function readUserNames(ids: string[]): Promise<Record<string, string>> {
  const query = `${ids.map((id) => `id[]=${encodeURIComponent(id)}`).join("&")}&fields=id,email,first_name,last_name&limit=${ids.length}`
  const { users } = await admin<{ users: Person[] }>(`/users?${query}`)
  return Object.fromEntries(users.map((user) => [user.id, nameOf(user)]))
}
