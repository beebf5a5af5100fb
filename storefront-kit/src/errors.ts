import type { DustError } from "./types.js"

/** Errors that the client finds itself. Their sentences are here; those of all other errors come from Dust. */
export const CLIENT_ERRORS = {
  not_authenticated: "Please sign in to see and use your points.",
  unreachable: "Points are not available right now. Please check your connection and try again.",
  timeout: "Points take too long to answer right now. Please try again in a moment.",
  unavailable: "Points are not available right now. Please try again in a moment.",
  invalid_fields: "Something you entered is not valid. Please check it and try again.",
  no_cart: "Your cart is empty. Please put something into it first.",
  redemption_pending: "This takes longer than usual. Your points are safe. Please look again in a moment.",
  redemption_failed: "The points could not be redeemed. They are available again: please try again.",
  redemption_released: "This code is no longer valid. Its points are available again.",
} as const

export type ClientErrorCode = keyof typeof CLIENT_ERRORS

/** The fields of a problem document (RFC 9457) that matter here. */
interface Problem {
  code?: unknown
  detail?: unknown
  message?: unknown
  available?: unknown
  errors?: unknown
}

/** Statuses of Dust whose sentences are for programs: about the request itself. */
const FOR_PROGRAMS = [400, 405, 408, 413]

export function clientError(code: ClientErrorCode, more: Partial<DustError> = {}): DustError {
  return { code, message: CLIENT_ERRORS[code], ...more }
}

/** The error of a response. It shows Dust's own sentences only: those of other programs are not for shoppers. */
export function errorOfResponse({ status, headers, ok }: Response, body: unknown, request: string): DustError {
  const content = (body ?? {}) as Problem
  const document = headers.get("content-type")?.startsWith("application/problem+json") ? content : undefined
  const code = text(document?.code)
  const sentence = text(document?.message) ?? text(document?.detail)
  const detail = `${request}: ${status} ${sentence ?? text(content.message) ?? ""}`.trim()
  // A success of another program. Its status says nothing about Dust.
  if (ok) return clientError("unavailable", { detail })
  if (status === 401) return clientError("not_authenticated", { status, detail })
  if (!code || !sentence || status >= 500 || FOR_PROGRAMS.includes(status))
    return { ...clientError("unavailable", { status, detail }), ...(code && { code }) }
  const error: DustError = { code, message: sentence, status, detail }
  if (code === "invalid_fields") error.message = sentences(document?.errors) || CLIENT_ERRORS.invalid_fields
  if (typeof document?.available === "number") error.available = document.available
  return error
}

/** The error of a request without a response. Errors by which Next.js controls a render are thrown again. */
export function errorOfFailure(failure: unknown, request: string): DustError {
  if (failure && typeof failure === "object" && "digest" in failure) throw failure
  const { name, message, cause } = (failure ?? {}) as { name?: string; message?: string; cause?: { code?: string } }
  // Node quotes a header that it refuses, such as a token with a line break.
  const reason = (cause?.code ?? message ?? name)?.replace(/Bearer [^]*/, "Bearer …")
  const detail = `${request}: ${reason}`
  if (name === "TimeoutError" || name === "AbortError") return clientError("timeout", { detail })
  return clientError("unreachable", { detail })
}

/** Field messages that are whole sentences. The others name fields, which shoppers do not know. */
function sentences(errors: Problem["errors"]): string {
  const all: unknown[] = Array.isArray(errors) ? errors : []
  const messages = all.map((problem) => text((problem as Problem | null)?.message)).filter((message) => message?.endsWith("."))
  return [...new Set(messages)].join(" ")
}

/** The value of a body; undefined if it is no JSON. */
export function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value ? value : undefined
}
