import { describe, expect, it } from "vitest"
import { membersPath } from "../src/admin/lib/members"
import { nameOf } from "../src/admin/lib/people"

const ALL = { search: "", sort: null }

describe("the path of the members", () => {
  it("has the search, the filters and the sorting that are set", () => {
    expect(membersPath(ALL)).toBe("/customers")
    expect(membersPath({ ...ALL, search: " ann@example.com ", tier: "Gold & more" })).toBe(
      "/customers?q=ann%40example.com&tier=Gold+%26+more",
    )
    expect(membersPath({ ...ALL, balance: "negative", sort: { id: "balance", desc: false } })).toBe(
      "/customers?max_balance=-1&sort=balance",
    )
    expect(membersPath({ ...ALL, balance: "middle" })).toBe("/customers?min_balance=1000&max_balance=9999")
    expect(membersPath({ ...ALL, balance: "zero" })).toBe("/customers?min_balance=0&max_balance=0")
    expect(membersPath({ ...ALL, sort: { id: "last_activity", desc: true } })).toBe("/customers?sort=-last_activity")
  })
})

describe("the last activity of members", () => {
  it("is counted in whole days, so that the list is not read again at each render", () => {
    const path = (activity: string, now: string): string => membersPath({ ...ALL, activity }, new Date(now))
    const begin = new Date(2026, 10, 27 - 30).toISOString()
    expect(path("within30", "2026-11-27T12:00:00")).toBe(`/customers?active_since=${encodeURIComponent(begin)}`)
    expect(path("within30", "2026-11-27T23:59:59")).toBe(path("within30", "2026-11-27T00:00:00"))
    expect(path("before365", "2026-11-27T12:00:00")).toContain("/customers?active_until=2025-11-2")
  })
})

describe("a person", () => {
  it("has a name, else an e-mail address, else an id", () => {
    const person = { id: "cus_1", email: "ann@example.com", first_name: "Ann", last_name: null }
    expect(nameOf(person)).toBe("Ann")
    expect(nameOf({ ...person, first_name: null })).toBe("ann@example.com")
    expect(nameOf({ ...person, first_name: null, email: null })).toBe("cus_1")
  })
})
