import type { Problem } from "../../types"
import { failures } from "../i18n/en/failures"
import { problems } from "../i18n/en/problems"
import { counted, type Translate } from "./texts"
import { worded } from "./wording"

// Written into the dashboard by Medusa's build.
declare const __BACKEND_URL__: string | undefined
declare const __AUTH_TYPE__: "session" | "jwt" | undefined
declare const __JWT_TOKEN_STORAGE_KEY__: string | undefined

/** An error answer of a route below /admin/dust. */
export class DustError extends Error {
  constructor(readonly problem: Partial<Problem>, readonly status: number) {
    super(problem.detail ?? problem.message ?? `Dust answered ${status}.`)
  }
}

/** Ask a route of the plugin. Throws `DustError`. */
export function dust<T>(path: string, method = "GET", body?: unknown, headers: HeadersInit = {}): Promise<T> {
  return admin(`/dust${path}`, method, body, headers)
}

/** Ask a route of the plugin for a report as CSV. Throws `DustError`, also for a page of a proxy. */
export async function dustCsv(path: string): Promise<string> {
  const response = await request(`/dust${path}`, "GET", undefined, {})
  if (!response.headers.get("content-type")?.startsWith("text/csv")) throw new DustError({}, response.status)
  return response.text()
}

/** Ask Medusa's Admin API. Throws `DustError`. */
export async function admin<T>(path: string, method = "GET", body?: unknown, headers: HeadersInit = {}): Promise<T> {
  return (await request(path, method, body, headers)).json() as Promise<T>
}

// The longest that a merchant waits for an answer, also on a slow line.
const TIMEOUT_MS = 60_000

/** Not with Medusa's JS SDK, whose errors leave out which field is wrong. */
async function request(path: string, method: string, body: unknown, headers: HeadersInit): Promise<Response> {
  const response = await fetch(`${(__BACKEND_URL__ ?? "").replace(/\/$/, "")}/admin${path}`, {
    method,
    credentials: "include",
    signal: AbortSignal.timeout(TIMEOUT_MS),
    headers: { ...bearer(), "content-type": "application/json", ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  })
  if (!response.ok) throw new DustError(await response.json().catch(() => ({})), response.status)
  return response
}

/** A dashboard that was built for JWTs keeps its token where Medusa's JS SDK puts it. */
function bearer(): HeadersInit {
  if (__AUTH_TYPE__ !== "jwt") return {}
  const token = window.localStorage.getItem(__JWT_TOKEN_STORAGE_KEY__ ?? "medusa_auth_token")
  return token ? { authorization: `Bearer ${token}` } : {}
}

/** Something new for each thing that must not happen twice. `crypto.randomUUID` is missing on plain http. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("")
}

/** What the server says about a field, or about something below it, such as `earn.rates.eur` below `earn.rates`. */
export function errorAt(error: unknown, field: string): string | undefined {
  const errors = error instanceof DustError ? error.problem.errors : undefined
  return errors?.find((entry) => entry.field === field || entry.field.startsWith(`${field}.`))?.message
}

/**
 * What a form shows above its fields: an error that is about no field. With the names of its `fields`, also what is about
 * fields that it does not have.
 */
export function generalError(error: unknown, t: Translate, fields?: string[]): string | undefined {
  if (!(error instanceof Error)) return undefined
  const errors = error instanceof DustError ? (error.problem.errors ?? []) : []
  if (errors.length === 0) return messageOf(error, t)
  const others = errors.filter(({ field }) => fields && !fields.includes(field.split(".")[0]))
  return others.map(({ message }) => worded(message, t)).join(" ") || undefined
}

/** What a user reads about a failed request: in their language if these texts have it, else what the server says. */
export function messageOf(error: Error, t: Translate): string {
  const { status, problem } = error instanceof DustError ? error : { status: 0, problem: {} as Partial<Problem> }
  if (status === 401) return t("general.sessionEnded")
  if (status === 403) return t("general.notAllowed")
  const { code = "", errors, available, detail = problem.message } = problem
  if (errors?.length) return errors.map(({ message }) => worded(message, t)).join(" ")
  if (code in problems) return t(`problems.${code}`, counted(available ?? 0, t))
  if (code in failures) return t(`failures.${code}`)
  // No answer at all, or a page of a proxy.
  return detail ? worded(detail, t) : t("general.unreachable")
}
