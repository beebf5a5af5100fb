import { describe, expect, it, vi } from "vitest"
import { Undelivered, UndeliveredPage, WithdrawCodes } from "../src/api/validators"
import { POST as retryOne } from "../src/api/admin/dust/deliveries/[event_id]/retry/route"
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

  it("are not sent again by an id that Postgres refuses", async () => {
    const sendAgain = vi.fn(async () => true)
    const json = vi.fn()
    const retry = (event_id: string): Promise<void> =>
      retryOne({ params: { event_id }, scope: { resolve: () => ({ sendAgain }) } } as never, { status: () => ({ json }) } as never)
    await retry("a\0b")
    expect(json).toHaveBeenLastCalledWith({ id: "a\0b", retried: false })
    expect(sendAgain).not.toHaveBeenCalled()
    await retry("msg_1")
    expect(json).toHaveBeenLastCalledWith({ id: "msg_1", retried: true })
  })
})
