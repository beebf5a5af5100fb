import type { paths } from "./api.generated.js"

export type Method = "get" | "post" | "delete"
/** The paths that have this method. */
export type Path<M extends Method> = { [P in keyof paths]: paths[P][M] extends undefined ? never : P }[keyof paths]

type Operation<M extends Method, P extends Path<M>> = NonNullable<paths[P][M]>
type Json = { content: { "application/json": unknown } }
type JsonIn<T> = T extends Json ? T["content"]["application/json"] : never
type Successes<T> = T extends { responses: infer R } ? R[keyof R & (200 | 201 | 202)] : never
type Parameters<T> = T extends { parameters: infer G } ? Pick<G, keyof G & ("path" | "query" | "header")> : never
type Body<T> = T extends { requestBody: Json } ? { body: JsonIn<T["requestBody"]> } : unknown

/** What a request sends: parameters of its path and its query, headers and the body. */
export type Sent<M extends Method, P extends Path<M>> = Parameters<Operation<M, P>> & Body<Operation<M, P>>
/** The body of a success. */
export type Answer<M extends Method, P extends Path<M>> = JsonIn<Successes<Operation<M, P>>>

type Values = Record<string, unknown>

/** The address of a request. Values that are undefined are left out, and each value of a list is a parameter of its own. */
export function addressOf(baseUrl: string, template: string, path: Values = {}, query: Values = {}): string {
  const filled = template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(path[name])))
  const pairs = Object.entries(query).flatMap(([name, value]) => [value].flat().map((entry) => [name, entry]))
  const given = pairs.filter(([, value]) => value != null) as string[][]
  return `${baseUrl.replace(/\/$/, "")}${filled}${given.length ? `?${new URLSearchParams(given)}` : ""}`
}

/** Whether a body has the keys of the example, with values of their types. That of another program has not. */
export function isLike(body: unknown, example: Values): boolean {
  return Object.entries(example).every(([key, value]) => {
    const field = (body as Values | null | undefined)?.[key]
    return field !== null && typeof field === typeof value && Array.isArray(field) === Array.isArray(value)
  })
}
