import { describe, expect, it, vi } from "vitest"
import { forwardAsAnybody, forwardAsCustomer, forwardAsOperator, forwardLongAsOperator, targetOf } from "../src/api/forward"

describe("targetOf", () => {
  it("keeps the path and the query, below whatever path the bridge has", () => {
    const path = "/store/dust/products?product_id=a&product_id=b"
    expect(targetOf("http://localhost:8600", path)?.href).toBe(`http://localhost:8600${path}`)
    expect(targetOf("https://example.com/dust", path)?.href).toBe(`https://example.com/dust${path}`)
  })

  it.each([
    "/store/dust/redemptions/..",
    "/store/dust/redemptions/%2e%2e",
    "/store/dust/redemptions/.%2E",
    "/store/dust/redemptions/..\\..",
    "/store/dust/redemptions/..%2F..%2F..%2Fadmin%2Fdust%2Foverview",
    "/admin/dust/customers/cus_1%2Fadjustments",
    "/admin/dust/customers/cus_1%5Cadjustments",
    "/admin/dust/customers/cus_1#",
    "http://elsewhere/store/dust/balance",
    "http://elsewhere:99999/store/dust/balance",
    "*",
  ])("refuses %s, which might be another path over there", (path) => {
    expect(targetOf("http://localhost:8600", path)).toBeUndefined()
  })

  it("reads lists as Medusa's JS SDK writes them", () => {
    const path = "/store/dust/products?product_id%5B0%5D=a&product_id[]=b&limit=2"
    expect(targetOf("http://localhost:8600", path)?.search).toBe("?product_id=a&product_id=b&limit=2")
  })

  it("leaves alone what is encoded inside a name", () => {
    expect(targetOf("http://localhost:8600", "/admin/dust/events/msg%3A1")?.pathname).toBe("/admin/dust/events/msg%3A1")
  })
})

describe("the time that is waited for Dust", () => {
  async function milliseconds(forward: typeof forwardAsAnybody, method: string, originalUrl: string): Promise<unknown> {
    const timeout = vi.spyOn(AbortSignal, "timeout")
    vi.stubGlobal("fetch", () => Promise.reject(new Error("away")))
    const services = { dust: { bridge: { bridge: "http://localhost:8600", token: "token" } }, logger: { warn: vi.fn() } }
    const resolve = (name: string): unknown => services[name as keyof typeof services]
    const req = { method, originalUrl, headers: {}, body: {}, get: () => undefined, scope: { resolve }, auth_context: { actor_id: "cus_1" } }
    const res = { set: () => res, status: () => res, type: () => res, send: () => res }
    await forward(req as never, res as never)
    return timeout.mock.lastCall?.[0]
  }

  it("is short for what a page shows", async () => {
    expect(await milliseconds(forwardAsAnybody, "GET", "/store/dust/products")).toBe(1500)
    expect(await milliseconds(forwardAsCustomer, "GET", "/store/dust/balance")).toBe(1500)
    expect(await milliseconds(forwardAsCustomer, "POST", "/store/dust/quote")).toBe(1500)
    expect(await milliseconds(forwardAsAnybody, "POST", "/store/dust/quote/guest?fields=id")).toBe(1500)
    expect(await milliseconds(forwardAsAnybody, "POST", "/store/dust/forecast")).toBe(1500)
  })

  it("is as long as the shopper asks to wait", async () => {
    expect(await milliseconds(forwardAsCustomer, "GET", "/store/dust/redemptions/dred_1?wait=10")).toBe(11_500)
  })

  it("is longer for what changes something, and for the dashboard", async () => {
    expect(await milliseconds(forwardAsCustomer, "POST", "/store/dust/redemptions")).toBe(10_000)
    expect(await milliseconds(forwardAsOperator, "GET", "/admin/dust/overview")).toBe(10_000)
  })
  it("is a minute for reports, exports and comparisons", async () => {
    expect(await milliseconds(forwardLongAsOperator, "GET", "/admin/dust/reports/movements")).toBe(60_000)
    expect(await milliseconds(forwardLongAsOperator, "POST", "/admin/dust/reconcile")).toBe(60_000)
  })
})

describe("a customer", () => {
  const token = "t".repeat(32)
  const services = { dust: { bridge: { bridge: "http://localhost:8600", token } }, logger: { warn: vi.fn() } }

  async function identity(authorization: string | undefined, session: object | undefined): Promise<Headers> {
    const fetched = vi.fn().mockRejectedValue(new Error("away"))
    vi.stubGlobal("fetch", fetched)
    const resolve = (name: string): unknown => services[name as keyof typeof services]
    const headers = authorization ? { authorization } : {}
    const auth_context = { actor_id: "cus_1", actor_type: "customer" }
    const req = { method: "GET", originalUrl: "/store/dust", headers, session, auth_context, get: () => undefined, scope: { resolve } }
    const res = { set: () => res, status: () => res, type: () => res, send: () => res }
    await forwardAsCustomer(req as never, res as never)
    return new Headers(fetched.mock.lastCall?.[1].headers)
  }

  it("with a JWT is whom the JWT names, which the bridge verifies again", async () => {
    for (const session of [undefined, {}, { auth_context: { actor_id: "user_1", actor_type: "user" } }]) {
      const headers = await identity("Bearer jwt", session)
      expect([headers.get("authorization"), headers.get("x-dust-customer")]).toEqual(["Bearer jwt", null])
    }
  })

  it("with a session is whom the session names, as everywhere in Medusa, whatever JWT comes along", async () => {
    for (const authorization of [undefined, "Bearer expired", "Basic abc"]) {
      const headers = await identity(authorization, { auth_context: { actor_id: "cus_1", actor_type: "customer" } })
      expect([headers.get("authorization"), headers.get("x-dust-customer")]).toEqual([`Bearer ${token}`, "cus_1"])
    }
  })
})
