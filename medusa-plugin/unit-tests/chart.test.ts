import { describe, expect, it } from "vitest"
import { bars, summary, ticks } from "../src/admin/lib/chart"

const FRAME = { width: 100, height: 80 }

describe("a chart", () => {
  it.each([
    [[3], [0, 1, 2, 3]],
    [[0, 0], [0, 1]],
    [[], [0, 1]],
    [[930, 12], [0, 500, 1000]],
    [[1_200_000], [0, 500_000, 1_000_000, 1_500_000]],
    [[-30, 50], [-40, -20, 0, 20, 40, 60]],
    [[-7], [-8, -6, -4, -2, 0]],
  ])("has an axis with zero and round steps around %j", (values, expected) => {
    expect(ticks(values)).toEqual(expected)
  })

  it("draws the bars of a period next to each other, from zero to their values", () => {
    const found = bars([{ label: "in", values: [4, 0] }, { label: "out", values: [2, 1] }], FRAME)
    expect(found.map(({ series, period }) => [series, period])).toEqual([[0, 0], [0, 1], [1, 0], [1, 1]])
    expect(found.map(({ y, height }) => [y, height])).toEqual([[0, 80], [80, 0], [40, 40], [60, 20]])
    expect(found.map(({ x, width }) => [x, width])).toEqual([[5, 20], [55, 20], [25, 20], [75, 20]])
  })

  it("draws a value below zero below the axis", () => {
    expect(bars([{ label: "balance", values: [-2, 2] }], FRAME).map(({ y, height }) => [y, height])).toEqual([
      [40, 40],
      [0, 40],
    ])
  })

  it("has a summary for who cannot see it", () => {
    const texts = (key: string, values?: Record<string, string | number>): string => `${key} ${JSON.stringify(values)}`
    expect(summary("Members", ["2026-10", "2026-11"], [{ label: "Active", values: [7, 5] }], texts)).toBe(
      'Members. chart.summary {"label":"Active","first":"2026-10","last":"2026-11","low":"5","high":"7","value":"5"}',
    )
  })
})
