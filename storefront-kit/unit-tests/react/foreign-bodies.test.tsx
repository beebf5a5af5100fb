// @vitest-environment jsdom
import { cleanup } from "@testing-library/react"
import { expect, test, vi } from "vitest"
import { createDustActions, createDustClient, type DustActions } from "../../src/index.js"
import {
  BalanceSummary,
  CheckoutPanel,
  EarnHint,
  ExpiringList,
  GuestNudge,
  History,
  NavBalance,
  OpenRedemptions,
  PendingList,
  PointsPrice,
  Referral,
  ThankYou,
  TierProgress,
} from "../../src/react/index.js"
import {
  APPLIED,
  BALANCE,
  GUEST_QUOTE,
  ORDER,
  PROGRAMME,
  QUOTE,
  REDEMPTION,
  REWARD,
  show,
  TRANSACTION,
} from "./support.js"

const line = { product_id: "mug", quantity: 2, dust: 50 }
const part = { rule: "rate", dust: 30 }

/** What Dust answers to each call. */
const ANSWERS: Record<string, unknown> = {
  "GET /store/dust/programme": PROGRAMME,
  "GET /store/dust/products": { products: { mug: { dust_only: false, dust_price: 900 } }, next_cursor: null },
  "GET /store/dust/rewards": { rewards: [REWARD] },
  "POST /store/dust/forecast": { items: [{ product_id: "mug", earn: 20, breakdown: [part, part] }], total: 20 },
  "GET /store/dust": { points: 340 },
  "GET /store/dust/balance": BALANCE,
  "GET /store/dust/transactions": {
    transactions: [{ ...TRANSACTION, matures_at: "2026-12-09T12:00:00Z", expires_at: "2026-12-09T12:00:00Z" }],
    next_cursor: "1",
  },
  "GET /store/dust/orders": { orders: [ORDER] },
  "GET /store/dust/orders/{order_id}": {
    ...ORDER,
    matures_at: "2026-12-09T12:00:00Z",
    pending: 5,
    spent_on_lines: [{ line_item_id: "line_1", product_id: "mug", dust: 5 }],
  },
  "POST /store/dust/quote": {
    ...QUOTE,
    redemptions: [APPLIED],
    rewards: [{ ...REWARD, missing_amount: "5.00" }],
    dust_only_items: [line],
    dust_only_due: 50,
    optional: [line],
  },
  "POST /store/dust/quote/guest": { ...GUEST_QUOTE, account_items: [line] },
  "GET /store/dust/redemptions": { redemptions: [REDEMPTION], next_cursor: null },
  "POST /store/dust/redemptions": { redemption: REDEMPTION },
  "GET /store/dust/redemptions/{redemption_id}": { redemption: REDEMPTION },
  "DELETE /store/dust/redemptions/{redemption_id}": { redemption: REDEMPTION },
  "GET /store/dust/referral": {
    code: "FRIEND7",
    offer: { referrer: 100, referred: 50 },
    referred_by: { bonus: 50, state: "stated" },
    brought: { stated: 2, qualified: 1, dust: 100, notes: [] },
  },
  "POST /store/dust/referral": {
    code: "FRIEND7",
    offer: null,
    referred_by: null,
    brought: { stated: 0, qualified: 0, dust: 0, notes: [] },
  },
}

const page = (
  <>
    <NavBalance href="/account" />
    <EarnHint productId="mug" amount="10" />
    <EarnHint cart />
    <PointsPrice productId="mug" amount="10" />
    <CheckoutPanel />
    <GuestNudge />
    <BalanceSummary />
    <PendingList />
    <ExpiringList />
    <History />
    <TierProgress />
    <Referral link="https://shop.example/{code}" />
    <OpenRedemptions />
    <ThankYou orderId="order_1" />
  </>
)

/** What a captive portal, a proxy or another API answers with status 200. */
const FOREIGN = [null, [], [{}], "OK", 1, true, {}, { message: "Service Unavailable" }, { error: null, data: {} }]
const WI_FI_PAGE = "<h1>Sign in to the hotel's Wi-Fi</h1>"

function calling(request: string, body: unknown, signedIn = true) {
  const send = (async (input: Request) => {
    const path = new URL(input.url).pathname
    const known = Object.keys(ANSWERS).find((each) => new RegExp(`^${each.replace(/\{\w+\}/, "[^/]+")}$`).test(`${input.method} ${path}`))
    const answer = known === request ? body : ANSWERS[known ?? ""]
    return answer === WI_FI_PAGE ? new Response(WI_FI_PAGE) : Response.json(answer ?? null)
  }) as typeof fetch
  const client = createDustClient({ baseUrl: "http://dust", token: signedIn ? "jwt" : undefined, fetch: send })
  const actions = createDustActions(client, () => "cart_1")
  const calls: Record<string, () => Promise<unknown>> = {
    "GET /store/dust/programme": () => client.programme(),
    "GET /store/dust/products": () => client.products(["mug"]),
    "GET /store/dust/rewards": () => client.rewards(),
    "POST /store/dust/forecast": () => client.forecast("eur", [{ product_id: "mug", amount: 1 }]),
    "GET /store/dust": () => client.points(),
    "GET /store/dust/balance": () => client.balance(),
    "GET /store/dust/transactions": () => client.transactions(),
    "GET /store/dust/orders": () => client.orders(["order_1"]),
    "GET /store/dust/orders/{order_id}": () => client.order("order_1"),
    "POST /store/dust/quote": () => client.quote("cart_1"),
    "POST /store/dust/quote/guest": () => client.quote("cart_1"),
    "GET /store/dust/redemptions": () => client.redemptions(),
    "POST /store/dust/redemptions": () => client.redeem({ cart_id: "cart_1", dust: 1 }, "key"),
    "GET /store/dust/redemptions/{redemption_id}": () => client.redemption("dred_1"),
    "DELETE /store/dust/redemptions/{redemption_id}": () => client.release("dred_1"),
    "GET /store/dust/referral": () => client.referral(),
    "POST /store/dust/referral": () => client.useReferral("ABC"),
  }
  return { actions, call: calls[request] as () => Promise<{ data?: unknown; error?: { code: string } }> }
}

/** Whether the key of a body has a value of the type that Dust gives it. */
function couldBeDusts(body: Record<string, unknown>, answer: object): boolean {
  const typeOf = (value: unknown): string => (Array.isArray(value) ? "list" : value === null ? "null" : typeof value)
  return Object.entries(answer).some(([key, value]) => key in body && typeOf(body[key]) === typeOf(value))
}

test.each(Object.keys(ANSWERS))("%s: the body of another program is an error, and no page breaks", async (request) => {
  const signedIn = !request.endsWith("/guest")
  expect((await calling(request, ANSWERS[request], signedIn).call()).error).toBeUndefined()

  const known = Object.keys(ANSWERS[request] as object)
  const wrong = known.flatMap((key) => [null, "none", [], 404, {}].map((value) => ({ [key]: value })))
  const types = wrong.filter((body) => !couldBeDusts(body, ANSWERS[request] as object))
  for (const body of [...FOREIGN, WI_FI_PAGE, ...types]) {
    const result = await calling(request, body, signedIn).call()
    expect([result.data, result.error?.code], JSON.stringify(body)).toEqual([undefined, "unavailable"])
  }
  for (const body of [null, {}, WI_FI_PAGE]) {
    const { actions } = calling(request, body, signedIn)
    const programme = request.endsWith("/programme") ? undefined : PROGRAMME
    const shopper = signedIn ? {} : { customerId: null }
    const { container } = await show(page, { actions: actions as Partial<DustActions> as never, programme, ...shopper })
    expect(container.textContent).not.toMatch(/NaN|undefined|\[object|Invalid Date/)
    cleanup()
  }
})
