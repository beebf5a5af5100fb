import { describe, expect, it } from "vitest"
import { Undelivered, UndeliveredPage, WithdrawCodes } from "../src/api/validators"
import { deliveriesPath, filtersOf } from "../src/admin/lib/deliveries"

describe("undelivered events", () => {
  it("are asked for with the filters that are set", () => {
    expect(deliveriesPath({ state: "all", type: " " })).toBe("/deliveries")
    expect(deliveriesPath({ state: "rejected", type: " order.placed " })).toBe("/deliveries?state=rejected&type=order.placed")
  })

  it("are sent again with the same filters", () => {
    expect(Undelivered.parse(filtersOf({ state: "all", type: "" }))).toEqual({})
    expect(Undelivered.parse(filtersOf({ state: "waiting", type: "order.placed" }))).toEqual({ state: "waiting", type: "order.placed" })
    expect(Undelivered.safeParse({ state: "delivered" }).success).toBe(false)
  })

  it("are read a page at a time", () => {
    expect(UndeliveredPage.parse({ cursor: "50" })).toEqual({ cursor: 50 })
    expect(UndeliveredPage.safeParse({ cursor: "-1" }).success).toBe(false)
  })

  it("are asked for with nothing that Postgres refuses", () => {
    expect(UndeliveredPage.safeParse({ cursor: "1e20" }).success).toBe(false)
    expect(UndeliveredPage.safeParse({ type: "a\0b" }).success).toBe(false)
    expect(WithdrawCodes.safeParse({ codes: ["a\0b"] }).success).toBe(false)
    expect(WithdrawCodes.safeParse({ codes: ["DUST-0123"] }).success).toBe(true)
  })
})
