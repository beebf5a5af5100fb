import { describe, expect, it } from "vitest"
import { readOptions } from "../src/modules/dust/options"

const SECRET = "whsec_c3VwZXItc2VjcmV0LWR1c3Qta2V5LTAxMjM="
const TOKEN = "a-token-that-only-these-tests-know"
const GOOD = { url: "http://localhost:8600", secret: SECRET, token: TOKEN }

describe("readOptions", () => {
  it("finds the bridge and guards the checkout unless told otherwise", () => {
    const { bridge, guard } = readOptions({ ...GOOD, url: "https://dust.example.com/bridge/" })
    expect(bridge).toBe("https://dust.example.com/bridge")
    expect(guard).toBe(true)
    expect(readOptions({ ...GOOD, checkoutGuard: false }).guard).toBe(false)
  })

  it("names every option that is missing", () => {
    expect(() => readOptions(undefined)).toThrow(
      'its option "url" is missing, and its option "secret" is missing, and its option "token" is missing',
    )
    expect(() => readOptions({ ...GOOD, token: undefined })).toThrow('its option "token" is missing')
  })

  it("takes an address for alerts, and nothing else in its place", () => {
    expect(readOptions({ ...GOOD, alertEmail: "merchant@example.com" }).alertEmail).toBe("merchant@example.com")
    expect(readOptions({ ...GOOD, alertEmail: "" }).alertEmail).toBeUndefined()
    expect(() => readOptions({ ...GOOD, alertEmail: "yes" })).toThrow('its option "alertEmail" must be an e-mail address')
  })

  it("names an option that is of no use, and does not print a secret", () => {
    expect(() => readOptions({ ...GOOD, url: "localhost:8600" })).toThrow('its option "url" must be an http')
    expect(() => readOptions({ ...GOOD, secret: "hunter2" })).toThrow(/"secret" must look like(?!.*hunter2)/)
    expect(() => readOptions({ ...GOOD, token: "hunter2" })).toThrow(/"token" must be the bridge's(?!.*hunter2)/)
  })
})
