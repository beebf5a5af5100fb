import { describe, expect, it } from "vitest"
import { kindName, kindsOf, monthOf, movedBy, percent } from "../src/admin/lib/report-texts"

describe("a report", () => {
  it("shows months, shares and movements in short", () => {
    expect(monthOf("2026-11-22")).toBe("2026-11")
    expect([percent("0.125"), percent("0")]).toEqual(["12.5 %", "0 %"])
    expect([movedBy("earn")({ moved: { earn: 20 } }), movedBy("redeem")({ moved: { earn: 20 } })]).toEqual(["+20", "–"])
  })

  it("has a column for each kind that moved points", () => {
    const periods = [{ moved: { earn: 5, expire: 0 } }, { moved: { redeem: -5, earn: 1 } }]
    expect(kindsOf(periods)).toEqual(["earn", "redeem"])
    expect(kindName("earn", (key) => key)).toBe("kinds.earn")
  })
})
