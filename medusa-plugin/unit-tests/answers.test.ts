import { describe, expect, it } from "vitest"
import { verdict } from "../src/modules/dust/delivery/answers"
import { backoff } from "../src/modules/dust/delivery/backoff"

const never = (): number => 0
const almostOne = (): number => 0.999

describe("backoff", () => {
  it("doubles from one second to a minute, and stays there", () => {
    expect([1, 2, 3, 4, 5, 6, 7, 8, 100, 5000].map((attempt) => backoff(attempt, never))).toEqual([
      1, 2, 4, 8, 16, 32, 60, 60, 60, 60,
    ])
  })

  it("is shortened by at most a half", () => {
    expect(backoff(7, almostOne)).toBeCloseTo(30, 0)
    expect(backoff(1)).toBeGreaterThanOrEqual(0.5)
    expect(backoff(1)).toBeLessThanOrEqual(1)
  })
})

describe("verdict", () => {
  it.each([200, 202, 204])("calls an event delivered on %i", (status) => {
    expect(verdict(status, 1)).toEqual({ kind: "delivered" })
  })

  it.each([null, 301, 307, 401, 403, 404, 405, 408, 429, 502, 503, 504])("calls the bridge unavailable on %s", (status) => {
    expect(verdict(status, 3, never)).toEqual({ kind: "unavailable" })
  })

  it.each([500, 501])("tries only this event again on %i, which may be about it alone", (status) => {
    expect(verdict(status, 3, never)).toEqual({ kind: "rescheduled", seconds: 4 })
  })

  it.each([400, 409, 413, 422])("rejects an event on %i", (status) => {
    expect(verdict(status, 1)).toEqual({ kind: "rejected" })
  })
})
