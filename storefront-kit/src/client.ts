import createClient from "openapi-fetch"
import type { paths } from "./api.generated.js"
import { clientError, errorOfFailure, errorOfResponse } from "./errors.js"
import type {
  Balance,
  DustResult,
  Forecast,
  ForecastItem,
  OrderPoints,
  Products,
  Programme,
  Quote,
  Redemption,
  RedemptionRequest,
  Redemptions,
  RedemptionState,
  Referral,
  Reward,
  Transactions,
} from "./types.js"

const READ_MS = 1_500
const WRITE_MS = 12_000
// Dust holds the response back until the redemption is no longer pending, at most this long.
const WAIT_SECONDS = 10
const MAX_WAITS = 3
const MAX_PRODUCTS = 100
const PUBLIC_SECONDS = 60

export interface DustClientConfig {
  /** Medusa's URL (with Dust's plugin), or Dust's own. */
  baseUrl: string
  /** Needed through Medusa. */
  publishableKey?: string
  /** The customer's JWT. A guest has none. */
  token?: string | (() => string | undefined | Promise<string | undefined>)
  /** Set to `include` if the browser signs in with Medusa's session cookie instead of a JWT. */
  credentials?: RequestCredentials
  /** For reads; 1,500 if missing. Writes take up to 12,000. */
  timeoutMs?: number
  fetch?: typeof fetch
}

/** All calls of the Store API. No method throws: each returns `{ data }` or `{ error }`. */
export interface DustClient {
  /** Public: name of the points, rates, tiers, rewards. */
  programme(): Promise<DustResult<Programme>>
  /** Public: prices in points. */
  products(ids: string[]): Promise<DustResult<Products>>
  /** Public: the catalogue. */
  rewards(): Promise<DustResult<Reward[]>>
  /** What products would earn. At the customer's tier with a token. */
  forecast(currencyCode: string, items: ForecastItem[]): Promise<DustResult<Forecast>>
  balance(): Promise<DustResult<Balance>>
  /** Points as one number. `balance` has everything. */
  points(): Promise<DustResult<number>>
  transactions(page?: { cursor?: string; limit?: number }): Promise<DustResult<Transactions>>
  order(id: string): Promise<DustResult<OrderPoints>>
  /** Up to 50 orders in one call, newest first. Those that Dust does not know yet are left out. */
  orders(ids: string[]): Promise<DustResult<OrderPoints[]>>
  /** A customer's quote; a guest's without a token. */
  quote(cartId: string): Promise<DustResult<Quote>>
  /**
   * Redeem, and wait until the code is active. Make `key` once for each click (`newIdempotencyKey`), and send the same
   * one to try again: a request that is sent twice then redeems once.
   */
  redeem(request: RedemptionRequest, key: string): Promise<DustResult<Redemption>>
  redemption(id: string): Promise<DustResult<Redemption>>
  redemptions(
    filter?: { cart_id?: string; state?: RedemptionState; cursor?: string; limit?: number },
  ): Promise<DustResult<Redemptions>>
  /** Release a redemption: its code leaves every cart, and its points are available again. */
  release(id: string): Promise<DustResult<Redemption>>
  referral(): Promise<DustResult<Referral>>
  useReferral(code: string): Promise<DustResult<Referral>>
}

type Api = ReturnType<typeof createClient<paths>>
type Answer<T> = { data?: T; error?: unknown; response: Response }
type Options = { headers: Record<string, string>; signal: AbortSignal; cache?: "no-store"; next?: { revalidate: number } }
type Access = "public" | "anybody" | "customer"

export function createDustClient(config: DustClientConfig): DustClient {
  const { baseUrl, publishableKey, credentials, timeoutMs = READ_MS } = config
  const api = createClient<paths>({
    baseUrl,
    headers: publishableKey ? { "x-publishable-api-key": publishableKey } : {},
    // Looked up for each request, as Next.js replaces it.
    fetch: (request) => (config.fetch ?? globalThis.fetch)(request),
    ...(credentials && { credentials }),
  })

  async function readToken(): Promise<string | undefined> {
    return typeof config.token === "function" ? config.token() : config.token
  }

  /** Send a request. `path` is for error messages of developers. */
  async function call<T>(
    access: Access,
    path: string,
    ms: number,
    send: (api: Api, options: Options) => Promise<Answer<T>>,
  ): Promise<DustResult<T>> {
    try {
      const token = access === "public" ? undefined : await readToken()
      if (access === "customer" && !token && credentials !== "include") return { error: clientError("not_authenticated") }
      const { data, error, response } = await send(api, {
        headers: token ? { authorization: `Bearer ${token}` } : {},
        signal: AbortSignal.timeout(ms),
        ...(access === "public" ? { next: { revalidate: PUBLIC_SECONDS } } : { cache: "no-store" }),
      })
      if (response.ok && data !== undefined) return { data }
      return { error: errorOfResponse(response, error, path) }
    } catch (failure) {
      // Next.js throws its own errors to make a page dynamic or to stop a render. They must arrive.
      if (failure && typeof failure === "object" && "digest" in failure) throw failure
      return { error: errorOfFailure(failure, path) }
    }
  }

  function read<T>(path: string, send: (api: Api, options: Options) => Promise<Answer<T>>): Promise<DustResult<T>> {
    return call("customer", `GET ${path}`, timeoutMs, send)
  }

  async function guestQuote(cartId: string): Promise<DustResult<Quote>> {
    const found = await call("public", "POST /store/dust/quote/guest", timeoutMs, (api, { headers, signal }) =>
      api.POST("/store/dust/quote/guest", { headers, signal, cache: "no-store", body: { cart_id: cartId } }),
    )
    return mapped(found, (quote) => ({ ...quote, guest: true }))
  }

  async function readRedemption(id: string, wait = 0): Promise<DustResult<Redemption>> {
    const path = "/store/dust/redemptions/{redemption_id}"
    const found = await call("customer", `GET ${path}`, timeoutMs + wait * 1000, (api, options) =>
      api.GET(path, { ...options, params: { path: { redemption_id: id }, query: wait ? { wait } : {} } }),
    )
    return mapped(found, ({ redemption }) => redemption)
  }

  /** Wait until the redemption is no longer pending. Its points are held, so a request that fails is repeated. */
  async function finished(redemption: Redemption): Promise<DustResult<Redemption>> {
    let latest = redemption
    for (let waits = 0; latest.state === "pending" && waits < MAX_WAITS; waits++) {
      const found = await readRedemption(latest.id, WAIT_SECONDS)
      if (found.data) latest = found.data
      else if (found.error.code === "not_authenticated") return found
    }
    return outcomeOf(latest)
  }

  return {
    programme: () =>
      call("public", "GET /store/dust/programme", timeoutMs, (api, options) => api.GET("/store/dust/programme", options)),

    async products(ids) {
      const unique = [...new Set(ids)]
      const pages = Array.from({ length: Math.ceil(unique.length / MAX_PRODUCTS) }, (_, page) =>
        unique.slice(page * MAX_PRODUCTS, (page + 1) * MAX_PRODUCTS),
      )
      const found = await Promise.all(
        pages.map((product_id) =>
          call("public", "GET /store/dust/products", timeoutMs, (api, options) =>
            api.GET("/store/dust/products", { ...options, params: { query: { product_id } } }),
          ),
        ),
      )
      const failed = found.find((each) => each.error)
      if (failed?.error) return { error: failed.error }
      return { data: Object.assign({}, ...found.map((each) => each.data?.products)) as Products }
    },

    async rewards() {
      const found = await call("public", "GET /store/dust/rewards", timeoutMs, (api, options) =>
        api.GET("/store/dust/rewards", options),
      )
      return mapped(found, ({ rewards }) => rewards)
    },

    async forecast(currencyCode, items) {
      const body = { currency_code: currencyCode, items: items.map((item) => ({ quantity: 1, ...item })) }
      const send = (api: Api, { headers, signal }: Options) =>
        api.POST("/store/dust/forecast", { headers, signal, cache: "no-store", body })
      const found = await call("anybody", "POST /store/dust/forecast", timeoutMs, send)
      // An expired token: show what everybody earns.
      if (found.error?.status !== 401) return found
      return call("public", "POST /store/dust/forecast", timeoutMs, send)
    },

    balance: () => read("/store/dust/balance", (api, options) => api.GET("/store/dust/balance", options)),

    async points() {
      const found = await read("/store/dust", (api, options) => api.GET("/store/dust", options))
      return mapped(found, ({ points }) => points)
    },

    transactions: (page = {}) =>
      read("/store/dust/transactions", (api, options) =>
        api.GET("/store/dust/transactions", { ...options, params: { query: page } }),
      ),

    order(id) {
      const path = "/store/dust/orders/{order_id}"
      return read(path, (api, options) => api.GET(path, { ...options, params: { path: { order_id: id } } }))
    },

    async orders(ids) {
      if (!ids.length) return { data: [] }
      const path = "/store/dust/orders"
      const found = await read(path, (api, options) => api.GET(path, { ...options, params: { query: { order_id: ids } } }))
      return mapped(found, ({ orders }) => orders)
    },

    async quote(cartId) {
      const path = "/store/dust/quote"
      const found = await call("customer", `POST ${path}`, timeoutMs, (api, options) =>
        api.POST(path, { ...options, body: { cart_id: cartId } }),
      )
      const { error } = found
      // Without a token nothing was sent. With a cookie, only Medusa knows whether it is a guest's.
      const isGuest = error?.code === "not_authenticated" && (!error.status || credentials === "include")
      if (isGuest) return guestQuote(cartId)
      return mapped(found, (quote) => ({ ...quote, guest: false }))
    },

    async redeem(request, key) {
      const path = "/store/dust/redemptions"
      const started = await call("customer", `POST ${path}`, WRITE_MS, (api, options) =>
        api.POST(path, { ...options, params: { header: { "Idempotency-Key": key } }, body: request }),
      )
      return started.error ? started : finished(started.data.redemption)
    },

    redemption: (id) => readRedemption(id),

    redemptions: (filter = {}) =>
      read("/store/dust/redemptions", (api, options) =>
        api.GET("/store/dust/redemptions", { ...options, params: { query: filter } }),
      ),

    async release(id) {
      const path = "/store/dust/redemptions/{redemption_id}"
      const found = await call("customer", `DELETE ${path}`, WRITE_MS, (api, options) =>
        api.DELETE(path, { ...options, params: { path: { redemption_id: id } } }),
      )
      return mapped(found, ({ redemption }) => redemption)
    },

    referral: () => read("/store/dust/referral", (api, options) => api.GET("/store/dust/referral", options)),

    useReferral: (code) =>
      call("customer", "POST /store/dust/referral", WRITE_MS, (api, options) =>
        api.POST("/store/dust/referral", { ...options, body: { code } }),
      ),
  }
}

function mapped<T, U>(result: DustResult<T>, map: (data: T) => U): DustResult<U> {
  return result.error ? result : { data: map(result.data as T) }
}

function outcomeOf(redemption: Redemption): DustResult<Redemption> {
  const { state, reason } = redemption
  if (state === "active" || state === "captured") return { data: redemption }
  const error = clientError(`redemption_${state}`)
  return { error: state !== "pending" && reason ? { ...error, message: reason } : error }
}
