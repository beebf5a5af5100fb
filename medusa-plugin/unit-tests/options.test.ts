import { describe, expect, it } from "vitest"
import { readOptions } from "../src/modules/dust/options"

const SECRET = "whsec_c3VwZXItc2VjcmV0LWR1c3Qta2V5LTAxMjM="

describe("readOptions", () => {
  it("finds the bridge's door and guards the checkout unless told otherwise", () => {
    const { endpoint, guard } = readOptions({ url: "https://dust.example.com/bridge/", secret: SECRET })
    expect(endpoint.href).toBe("https://dust.example.com/bridge/webhooks/medusa")
    expect(guard).toBe(true)
    expect(readOptions({ url: "http://localhost:8600", secret: SECRET, checkoutGuard: false }).guard).toBe(false)
  })

  it("names every option that is missing", () => {
    expect(() => readOptions(undefined)).toThrow('its option "url" is missing, and its option "secret" is missing')
    expect(() => readOptions({ url: "http://localhost:8600" })).toThrow('its option "secret" is missing')
  })

  it("names an option that is of no use, and does not print a secret", () => {
    expect(() => readOptions({ url: "localhost:8600", secret: SECRET })).toThrow('its option "url" must be an http')
    expect(() => readOptions({ url: "http://localhost:8600", secret: "hunter2" })).toThrow(/"secret" must look like(?!.*hunter2)/)
  })
})
