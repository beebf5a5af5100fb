import { clientError, errorOfFailure, errorOfResponse, parsed } from "./errors.js"
import { addressOf, isLike, type Answer, type Method, type Path, type Sent } from "./request.js"
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
const REDEMPTION = "/store/dust/redemptions/{redemption_id}"

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

type Access = "public" | "anybody" | "customer"

export function createDustClient(config: DustClientConfig): DustClient {
  const { baseUrl, publishableKey, credentials, timeoutMs = READ_MS } = config

  async function readToken(): Promise<string | undefined> {
    return typeof config.token === "function" ? config.token() : config.token
  }

  /**
   * Send a request, with the token unless it is public. Answers that are the same for everybody are cached. `example` has
   * the main keys of the answer, by which it is known: a network that wants a sign-in answers 200 with a page of its own.
   */
  async function call<M extends Method, P extends Path<M>>(
    access: Access,
    method: M,
    path: P,
    example: { [K in keyof Answer<M, P>]?: unknown },
    sent: Sent<M, P>,
    ms: number = method === "get" ? timeoutMs : WRITE_MS,
  ): Promise<DustResult<Answer<M, P>>> {
    const name = `${method.toUpperCase()} ${path}`
    try {
      const token = access === "public" ? undefined : await readToken()
      if (access === "customer" && !token && credentials !== "include") return { error: clientError("not_authenticated") }
      const { path: inPath, query, header, body } = sent as Record<string, Record<string, string> | undefined>
      const isCached = access === "public" && method === "get"
      const request = new Request(addressOf(baseUrl, path, inPath, query), {
        method: method.toUpperCase(),
        headers: {
          ...(publishableKey && { "x-publishable-api-key": publishableKey }),
          ...(token && { authorization: `Bearer ${token}` }),
          ...(body && { "content-type": "application/json" }),
          ...header,
        },
        body: body && JSON.stringify(body),
        credentials,
        cache: isCached ? undefined : "no-store",
        signal: AbortSignal.timeout(ms),
      })
      // Next.js reads this key, also of a request.
      if (isCached) Object.assign(request, { next: { revalidate: PUBLIC_SECONDS } })
      // Looked up for each request, as Next.js replaces it.
      const response = await (config.fetch ?? globalThis.fetch)(request)
      const answer = parsed(await response.text())
      if (response.ok && isLike(answer, example)) return { data: answer as Answer<M, P> }
      return { error: errorOfResponse(response, answer, name) }
    } catch (failure) {
      return { error: errorOfFailure(failure, name) }
    }
  }

  async function guestQuote(cartId: string): Promise<DustResult<Quote>> {
    const body = { cart_id: cartId }
    const result = await call("public", "post", "/store/dust/quote/guest", { escrow: 0 }, { body }, timeoutMs)
    return mapped(result, (quote) => ({ ...quote, guest: true }))
  }

  async function readRedemption(id: string, wait = 0): Promise<DustResult<Redemption>> {
    const sent = { path: { redemption_id: id }, query: wait ? { wait } : {} }
    return mapped(await call("customer", "get", REDEMPTION, { redemption: {} }, sent, timeoutMs + wait * 1000), redemptionOf)
  }

  /** Wait until the redemption is no longer pending. Its points are held, so a request that fails is repeated. */
  async function finished(redemption: Redemption): Promise<DustResult<Redemption>> {
    let latest = redemption
    for (let waits = 0; latest.state === "pending" && waits < MAX_WAITS; waits++) {
      const result = await readRedemption(latest.id, WAIT_SECONDS)
      if (result.data) latest = result.data
      else if (result.error.code === "not_authenticated") return result
    }
    return outcomeOf(latest)
  }

  return {
    programme: () => call("public", "get", "/store/dust/programme", { name: {} }, {}),

    async products(ids) {
      const unique = [...new Set(ids)]
      const pages = Array.from({ length: Math.ceil(unique.length / MAX_PRODUCTS) }, (_, page) =>
        unique.slice(page * MAX_PRODUCTS, (page + 1) * MAX_PRODUCTS),
      )
      const results = await Promise.all(
        pages.map((product_id) => call("public", "get", "/store/dust/products", { products: {} }, { query: { product_id } })),
      )
      const failed = results.find(({ error }) => error)
      if (failed?.error) return { error: failed.error }
      return { data: Object.assign({}, ...results.map(({ data }) => data?.products)) as Products }
    },

    rewards: async () => mapped(await call("public", "get", "/store/dust/rewards", { rewards: [] }, {}), ({ rewards }) => rewards),

    async forecast(currencyCode, items) {
      const body = { currency_code: currencyCode, items: items.map((item) => ({ quantity: 1, ...item })) }
      const send = (access: Access) => call(access, "post", "/store/dust/forecast", { items: [] }, { body }, timeoutMs)
      const result = await send("anybody")
      // An expired token: show what everybody earns.
      return result.error?.status === 401 ? send("public") : result
    },

    balance: () => call("customer", "get", "/store/dust/balance", { available: 0 }, {}),

    points: async () => mapped(await call("customer", "get", "/store/dust", { points: 0 }, {}), ({ points }) => points),

    transactions: (query = {}) => call("customer", "get", "/store/dust/transactions", { transactions: [] }, { query }),

    order: (id) => call("customer", "get", "/store/dust/orders/{order_id}", { earned: 0 }, { path: { order_id: id } }),

    async orders(ids) {
      if (!ids.length) return { data: [] }
      const result = await call("customer", "get", "/store/dust/orders", { orders: [] }, { query: { order_id: ids } })
      return mapped(result, ({ orders }) => orders)
    },

    async quote(cartId) {
      const body = { cart_id: cartId }
      const result = await call("customer", "post", "/store/dust/quote", { max_dust: 0 }, { body }, timeoutMs)
      const { error } = result
      // Without a token nothing was sent. With a cookie, only Medusa knows whether it is a guest's.
      const isGuest = error?.code === "not_authenticated" && (!error.status || credentials === "include")
      if (isGuest) return guestQuote(cartId)
      return mapped(result, (quote) => ({ ...quote, guest: false }))
    },

    async redeem(request, key) {
      const sent = { header: { "Idempotency-Key": key }, body: request }
      const started = await call("customer", "post", "/store/dust/redemptions", { redemption: {} }, sent)
      return started.error ? started : finished(started.data.redemption)
    },

    redemption: (id) => readRedemption(id),

    redemptions: (query = {}) => call("customer", "get", "/store/dust/redemptions", { redemptions: [] }, { query }),

    release: async (id) =>
      mapped(await call("customer", "delete", REDEMPTION, { redemption: {} }, { path: { redemption_id: id } }), redemptionOf),

    referral: () => call("customer", "get", "/store/dust/referral", { brought: {} }, {}),

    useReferral: (code) => call("customer", "post", "/store/dust/referral", { brought: {} }, { body: { code } }),
  }
}

function redemptionOf({ redemption }: { redemption: Redemption }): Redemption {
  return redemption
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
