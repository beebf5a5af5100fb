import type { AuthenticatedMedusaRequest, MedusaRequest, MedusaResponse } from "@medusajs/framework/http"
import { ContainerRegistrationKeys, MedusaError } from "@medusajs/framework/utils"
import { DUST_MODULE } from "../modules/dust"
import type DustModuleService from "../modules/dust/service"
import { problem, readable, type Problem } from "./problems"

const PATIENCE_SECONDS = 10
// Reports, exports and a comparison with Medusa read many rows.
const LONG_PATIENCE_SECONDS = 60
// A shop's page waits for what a shopper reads: without points it is better than late.
const SHOPPER_READ_SECONDS = 1.5
// A page shows these too, although they have a body.
const READ_WITH_BODY = /^\/store\/dust\/(quote(\/guest)?|forecast)$/
// GET /store/dust/redemptions/:id?wait=… holds its answer back; the bridge waits no longer than this. The same as in
// bridge/api/store/redemptions.py.
const MAX_WAIT_SECONDS = 30

const PASSED_ON = ["idempotency-key", "if-match", "if-none-match"]
const RATE_LIMITS = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"]
const PASSED_BACK = ["content-type", "content-disposition", "etag", "cache-control", "retry-after", ...RATE_LIMITS]

// What Dust answers with. Anything else comes from a program between the two, such as a proxy's page.
const OWN_TYPES = /^(application\/(problem\+)?json|text\/csv)\b/
// A proxy's own refusals, which asking again at once does not change.
const REFUSED_BY_PROXY: Record<number, [code: string, sentence: string]> = {
  413: ["too_large", "This is too large for one request. Please make it smaller."],
  429: ["too_many_requests", "Too many requests. Please try again in a moment."],
}

type Headers = Record<string, string>

/**
 * Pass a request of a merchant on to the bridge, which has the same path. Medusa allows routes below /admin only for its
 * users and secret keys; the bridge stores which of them it was.
 */
export async function forwardAsOperator(req: MedusaRequest, res: MedusaResponse): Promise<void> {
  await forward(req, res, asOperator(req))
}

/** Like `forwardAsOperator`, for what reads many rows. */
export async function forwardLongAsOperator(req: MedusaRequest, res: MedusaResponse): Promise<void> {
  await forward(req, res, asOperator(req), LONG_PATIENCE_SECONDS, LONG_PATIENCE_SECONDS)
}

/**
 * Pass a request of a signed-in customer on to the bridge, which has the same path. A customer's JWT is passed on, and the
 * bridge verifies it too. With a session cookie, which the bridge cannot read, the request is sent with the service token
 * and names the customer of Medusa's session. Medusa prefers the session to a JWT, which then may be expired.
 */
export async function forwardAsCustomer(req: MedusaRequest, res: MedusaResponse): Promise<void> {
  const customerId = actorOf(req)
  if (!customerId) {
    send(res, problem(401, "not_authenticated", "Please sign in to your account to see and use your points."))
    return
  }
  const { authorization } = req.headers
  const bearer = authorization?.toLowerCase().startsWith("bearer ") && !hasSession(req) ? { authorization } : undefined
  await forward(req, res, bearer ?? { ...serviceToken(req), "x-dust-customer": customerId }, SHOPPER_READ_SECONDS)
}

/** Pass on what everybody may ask. The client's address goes along: the bridge counts requests by it. */
export async function forwardAsAnybody(req: MedusaRequest, res: MedusaResponse): Promise<void> {
  const addresses = [req.get("x-forwarded-for"), req.ip].filter(Boolean).join(", ")
  await forward(req, res, addresses ? { "x-forwarded-for": addresses } : {}, SHOPPER_READ_SECONDS)
}

/** Pass on what everybody may ask, and what says more to a customer who is signed in. */
export async function forwardAsShopper(req: MedusaRequest, res: MedusaResponse): Promise<void> {
  await (actorOf(req) ? forwardAsCustomer(req, res) : forwardAsAnybody(req, res))
}

/** Undefined when nobody is signed in, whatever the type says. */
function actorOf(req: MedusaRequest): string | undefined {
  return (req as AuthenticatedMedusaRequest).auth_context?.actor_id
}

/** Whether a session says who is signed in as a customer. The dashboard's, of the same browser, names a user. */
function hasSession(req: MedusaRequest): boolean {
  const { session } = req as { session?: { auth_context?: { actor_type?: string } } }
  return session?.auth_context?.actor_type === "customer"
}

function bridgeOf(req: MedusaRequest): DustModuleService["bridge"] {
  return req.scope.resolve<DustModuleService>(DUST_MODULE).bridge
}

function asOperator(req: MedusaRequest): Headers {
  return { ...serviceToken(req), "x-dust-operator": String(actorOf(req)) }
}

function serviceToken(req: MedusaRequest): Headers {
  return { authorization: `Bearer ${bridgeOf(req).token}` }
}

async function forward(
  req: MedusaRequest,
  res: MedusaResponse,
  identity: Headers,
  readSeconds = PATIENCE_SECONDS,
  writeSeconds = PATIENCE_SECONDS,
): Promise<void> {
  const target = targetOf(bridgeOf(req).bridge, req.originalUrl)
  if (!target) {
    send(res, problem(404, "not_found", "There is nothing under this address."))
    return
  }
  // Express gives a HEAD to the route of the GET, and leaves the body out of the answer.
  const method = req.method === "HEAD" ? "GET" : req.method
  const isRead = method === "GET"
  const seconds = isRead || READ_WITH_BODY.test(req.originalUrl.split("?", 1)[0]) ? readSeconds : writeSeconds
  try {
    const response = await fetch(target, {
      method,
      headers: { ...identity, ...chosen(PASSED_ON, (name) => req.get(name)), "content-type": "application/json" },
      body: isRead ? undefined : JSON.stringify(req.body ?? {}),
      redirect: "error",
      signal: AbortSignal.timeout(1000 * (askedToWait(target) + seconds)),
    })
    await pass(response, res)
  } catch (error) {
    const { message, cause } = error as Error & { cause?: { code?: string } }
    req.scope.resolve(ContainerRegistrationKeys.LOGGER).warn(`dust: ${req.method} ${target.pathname} failed: ${cause?.code ?? message}`)
    send(res, problem(503, "bridge_unavailable", "Dust does not answer right now. Please try again in a moment."))
  }
}

/**
 * The bridge's address for a path of ours; undefined for one that would not be the same path there. Medusa has matched
 * the route on the path as it came, so dots and slashes in disguise must not turn it into another one.
 */
export function targetOf(bridge: string, originalUrl: string): URL | undefined {
  // A request line may hold a whole address instead of a path.
  if (!originalUrl.startsWith("/") || !URL.canParse(bridge + originalUrl)) return undefined
  const [path] = originalUrl.split("?", 1)
  const target = new URL(bridge + originalUrl)
  const same = target.pathname === new URL(bridge).pathname.replace(/\/$/, "") + path
  if (!same || /%2f|%5c/i.test(path)) return undefined
  target.search = repeated(target.searchParams).toString()
  return target
}

/** Medusa's JS SDK writes a list as `product_id[0]=…&product_id[1]=…`; the bridge wants the name repeated. */
function repeated(query: URLSearchParams): URLSearchParams {
  return new URLSearchParams([...query].map(([name, value]) => [name.replace(/\[\d*\]$/, ""), value]))
}

function askedToWait(target: URL): number {
  const seconds = Number(target.searchParams.get("wait"))
  return seconds > 0 ? Math.min(seconds, MAX_WAIT_SECONDS) : 0
}

/** Throws when the response ends in the middle, or is not Dust's: before anything of it is passed on. */
async function pass(response: Response, res: MedusaResponse): Promise<void> {
  // Medusa has recognised the caller already: a 401 is about the settings of the two, and would only sign people out.
  if (response.status === 401) {
    const detail = "Medusa and Dust are not set up for each other: compare the plugin's token with DUST_ADMIN_TOKEN, and jwtSecret with DUST_JWT_SECRET."
    send(res, problem(502, "bridge_refused", detail))
    return
  }
  const type = response.headers.get("content-type") ?? ""
  const body = await response.text()
  const refused = REFUSED_BY_PROXY[response.status]
  if (body && !OWN_TYPES.test(type)) {
    if (!refused) throw new MedusaError(MedusaError.Types.UNEXPECTED_STATE, `${response.status} with ${type || "no type"}`)
    send(res, problem(response.status, ...refused), response.headers.get("retry-after"))
    return
  }
  const readableBody = type.startsWith("application/problem+json") ? readable(body) : body
  res.status(response.status).set(chosen(PASSED_BACK, (name) => response.headers.get(name)))
  res.send(readableBody)
}

function send(res: MedusaResponse, document: Problem, retryAfter = document.status === 503 ? "5" : null): void {
  if (retryAfter) res.set("retry-after", retryAfter)
  res.set("cache-control", "no-store")
  res.status(document.status).type("application/problem+json").send(JSON.stringify(document))
}

function chosen(names: string[], read: (name: string) => string | null | undefined): Headers {
  return Object.fromEntries(names.flatMap((name) => (read(name) ? [[name, String(read(name))]] : [])))
}
