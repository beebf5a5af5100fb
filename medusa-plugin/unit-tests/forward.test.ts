import { describe, expect, it } from "vitest"
import { targetOf } from "../src/forward"

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
