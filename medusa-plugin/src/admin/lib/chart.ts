import { shown } from "./format"
import type { Translate } from "./texts"

/** One set of bars: a value for each period. */
export type Series = { label: string; values: number[] }

const MOST_STEPS = 4

/** The values at an axis: zero and round steps, from below the lowest value to above the highest. */
export function ticks(values: number[]): number[] {
  const low = Math.min(0, ...values)
  const high = Math.max(0, ...values)
  const step = roundStep((high - low) / MOST_STEPS)
  const first = Math.floor(low / step)
  const last = Math.max(Math.ceil(high / step), first + 1)
  return Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step)
}

/** The next of 1, 2, 5, 10, 20, 50 …: a step of counts is not below 1. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)))
  return ([1, 2, 5].find((factor) => factor * power >= least) ?? 10) * power
}

export type Bar = { series: number; period: number; x: number; y: number; width: number; height: number }

/** The bars of all series next to each other in each period, in a frame of this size with zero on the axis. */
export function bars(series: Series[], frame: { width: number; height: number }): Bar[] {
  const axis = ticks(series.flatMap(({ values }) => values))
  const periods = Math.max(1, ...series.map(({ values }) => values.length))
  const room = frame.width / periods
  const width = (room * 0.8) / series.length
  return series.flatMap(({ values }, number) =>
    values.map((value, period) => {
      const ends = [heightOf(0, axis, frame.height), heightOf(value, axis, frame.height)]
      return {
        series: number,
        period,
        x: room * period + room * 0.1 + width * number,
        y: Math.min(...ends),
        width,
        height: Math.abs(ends[1] - ends[0]),
      }
    }),
  )
}

/** How far below the top of the frame a value is. */
export function heightOf(value: number, axis: number[], height: number): number {
  const [low, high] = [axis[0], axis[axis.length - 1]]
  return ((high - value) / (high - low)) * height
}

/** What the chart shows, in a sentence for each series. */
export function summary(label: string, periods: string[], series: Series[], t: Translate): string {
  const sentences = series.map((line) =>
    t("chart.summary", {
      label: line.label,
      first: periods[0],
      last: periods[periods.length - 1],
      low: shown(Math.min(...line.values)),
      high: shown(Math.max(...line.values)),
      value: shown(line.values[line.values.length - 1]),
    }),
  )
  return `${label}. ${sentences.join(" ")}`
}
