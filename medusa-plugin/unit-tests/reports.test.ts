import { describe, expect, it } from "vitest"
import { amount } from "../src/admin/lib/format"
import { amountsOf, dayOf, inAndOut, kindName, kindsOf, lastYear, monthOf, movedBy, percent } from "../src/admin/lib/report-texts"

describe("a report", () => {
  it("shows months, shares and movements in short", () => {
    expect(monthOf("2026-11-22")).toBe("2026-11")
    expect([percent("0.125"), percent("0"), percent(null)]).toEqual(["12.5 %", "0 %", "–"])
    expect([movedBy("earn")({ moved: { earn: 20 } }), movedBy("redeem")({ moved: { earn: 20 } })]).toEqual(["+20", "–"])
  })

  it("has a column for each kind that moved points", () => {
    const periods = [{ moved: { earn: 5, expire: 0 } }, { moved: { redeem: -5, earn: 1 } }]
    expect(kindsOf(periods)).toEqual(["earn", "redeem"])
    expect(kindName("earn", (key) => key)).toBe("kinds.earn")
  })

  it("asks for the chosen day and for twelve months and the present one", () => {
    expect(dayOf(new Date(2026, 0, 5, 0, 0))).toBe("2026-01-05")
    expect(dayOf(new Date(2026, 10, 30, 23, 59))).toBe("2026-11-30")
    expect(lastYear()).toEqual({ by: "month", since: expect.stringMatching(/^\d{4}-\d{2}-01$/) })
  })

  it("shows money with the decimals of its currency", () => {
    const separated = (thousands: string): string => Number(thousands).toLocaleString()
    expect(amount("1234567.50")).toBe(`${separated("1234567")}${(0.5).toLocaleString().slice(1, 2)}50`)
    expect([amount("1234"), amount("5.000").length]).toEqual([separated("1234"), 5])
  })

  it("adds up what came in and what went out", () => {
    expect(inAndOut({ moved: { earn: 50, bonus: 5, redeem: -20, expire: -1 } })).toEqual({ cameIn: 55, wentOut: 21 })
    expect(inAndOut({ moved: {} })).toEqual({ cameIn: 0, wentOut: 0 })
  })

  it("has the amounts of one currency, and 0 in months without it", () => {
    const money = [{ currency_code: "eur", revenue: "35.50", cost: "5.00" }]
    expect(amountsOf([{ money }, { money: [] }], "eur", "revenue")).toEqual([35.5, 0])
    expect(amountsOf([{ money }], "jpy", "cost")).toEqual([0])
  })
})
