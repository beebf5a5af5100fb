import { describe, expect, it } from "vitest"
import { eventsPath, readableBody } from "../src/admin/lib/events"

describe("events", () => {
  it("are asked for with the filters that are set", () => {
    expect(eventsPath({ state: "failed", type: "", subject: " ", since: null })).toBe("/events?state=failed")
    const since = new Date("2026-11-22T10:00:00Z")
    expect(eventsPath({ state: "handled", type: "order.placed", subject: "order_1", since })).toBe(
      "/events?state=handled&type=order.placed&subject=order_1&since=2026-11-22T10%3A00%3A00.000Z",
    )
  })

  it("show a body with indentation, or as it came", () => {
    expect(readableBody('{"id":"order_1"}')).toBe('{\n  "id": "order_1"\n}')
    expect(readableBody("not JSON")).toBe("not JSON")
  })
})
