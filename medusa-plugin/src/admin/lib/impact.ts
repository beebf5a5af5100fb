import type { DustSimulationResult } from "../../types"
import { shown } from "./format"
import type { Translate } from "./texts"

type Slice = DustSimulationResult["by_month"][number]
export type Bar = { name: string; points: number; kind: "now" | "then"; x: number; y: number; width: number; height: number }

export const DAYS = 90
const MAX_BAR_WIDTH = 48

/** The start of the time whose orders are compared. */
export function since(now = new Date()): string {
  return new Date(now.getTime() - DAYS * 86_400_000).toISOString()
}

/** Two bars for each month, side by side, in a box of this size. The largest one is as high as the box. */
export function barsOf(months: Slice[], width: number, height: number): Bar[] {
  const most = Math.max(1, ...months.flatMap(({ now, then }) => [now, then]))
  const room = width / Math.max(1, months.length)
  const bar = Math.min(room / 3, MAX_BAR_WIDTH)
  return months.flatMap(({ name, now, then }, index) =>
    (["now", "then"] as const).map((kind, place) => {
      const points = kind === "now" ? now : then
      const tall = (Math.max(0, points) / most) * height
      return { name, points, kind, x: room * (index + 0.5) + bar * (place - 1), y: height - tall, width: bar, height: tall }
    }),
  )
}

/** The chart in words. */
export function chartText(months: Slice[], t: Translate): string {
  const sentences = months.map(({ name, now, then }) => t("impact.chartMonth", { month: name, now: shown(now), then: shown(then) }))
  return t("impact.chart", { months: sentences.join(" ") })
}

/** The name of a rule: a multiplier's own, or what the bridge calls the others. */
export function ruleName(name: string, t: Translate): string {
  const known: Record<string, string> = {
    "rate alone": t("impact.rateAlone"),
    "shipping, rounding, limits": t("impact.rest"),
    "fixed points": t("impact.fixed"),
  }
  return name
    .split(" × ")
    .map((part) => known[part] ?? part)
    .join(" × ")
}
