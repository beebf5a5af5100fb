import { describe, expect, it } from "vitest"
import { membersPath } from "../src/admin/lib/members"
import { nameOf } from "../src/admin/lib/people"

const ALL = { search: "", negative: false, sort: null }

describe("the path of the members", () => {
  it("has the search, the filters and the sorting that are set", () => {
    expect(membersPath(ALL)).toBe("/customers")
    expect(membersPath({ ...ALL, search: " ann@example.com ", tier: "Gold & more" })).toBe(
      "/customers?q=ann%40example.com&tier=Gold+%26+more",
    )
    expect(membersPath({ ...ALL, negative: true, sort: { id: "balance", desc: false } })).toBe(
      "/customers?negative=true&sort=balance",
    )
    expect(membersPath({ ...ALL, sort: { id: "last_activity", desc: true } })).toBe("/customers?sort=-last_activity")
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
