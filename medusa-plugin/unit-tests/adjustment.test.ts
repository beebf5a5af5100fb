import { expect, it } from "vitest"
import { adjustmentEffect } from "../src/admin/components/adjust-drawer"
import type { DustBalance } from "../src/types"

const BALANCE = { balance: 340, available: 290 } as DustBalance
const t = (key: string, values: object = {}): string => [key, ...Object.values(values)].join(" ")

it.each([
  ["50", "account.adjustEffect 340 390"],
  [" -290 ", "account.adjustEffect 340 50"],
  // What is on hold cannot be taken.
  ["-291", "problems.insufficient_dust 290 general.points 290"],
  ["0", ""],
  ["", ""],
  ["1.5", ""],
])("an adjustment by %j says what it would do", (typed, effect) => {
  expect(adjustmentEffect(typed, BALANCE, t)).toBe(effect)
})
