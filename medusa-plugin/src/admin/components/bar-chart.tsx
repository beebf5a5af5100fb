import { Text } from "@medusajs/ui"
import type { ReactNode } from "react"
import { bars, heightOf, summary, ticks, type Series } from "../lib/chart"
import { shown } from "../lib/format"
import { useTexts } from "../lib/texts"

// The colours of Medusa UI's tags, which change with the dashboard's theme.
const COLORS = ["var(--tag-blue-icon)", "var(--tag-orange-icon)"]
const FRAME = { width: 640, height: 140 }
const LEFT = 70
const TOP = 10
const MOST_LABELS = 12

type Props = { label: string; periods: string[]; series: Series[] }

/** A chart of one or two series by period. A screen reader gets a summary; the table below has all values. */
export function BarChart({ label, periods, series }: Props): ReactNode {
  const t = useTexts()
  if (!periods.length) return null
  const axis = ticks(series.flatMap(({ values }) => values))
  const every = Math.ceil(periods.length / MOST_LABELS)
  return (
    <figure className="flex flex-col gap-y-2 px-6 py-4">
      <figcaption className="flex flex-wrap gap-x-4">
        <Text size="small" weight="plus">
          {label}
        </Text>
        {series.length > 1 && series.map((line, index) => <Key key={line.label} label={line.label} color={COLORS[index]} />)}
      </figcaption>
      <svg
        role="img"
        aria-label={summary(label, periods, series, t)}
        viewBox={`0 0 ${LEFT + FRAME.width} ${TOP + FRAME.height + 20}`}
        className="w-full max-w-4xl"
        fontSize={11}
      >
        <g transform={`translate(${LEFT} ${TOP})`}>
          {axis.map((value) => (
            <g key={value} transform={`translate(0 ${heightOf(value, axis, FRAME.height)})`}>
              <line x2={FRAME.width} stroke={value ? "var(--border-base)" : "var(--fg-muted)"} />
              <text x={-8} dy="0.35em" textAnchor="end" fill="var(--fg-subtle)">
                {shown(value)}
              </text>
            </g>
          ))}
          {bars(series, FRAME).map(({ series: number, period, ...bar }) => (
            <rect key={`${number} ${period}`} {...bar} fill={COLORS[number]}>
              <title>{`${periods[period]}: ${shown(series[number].values[period])}`}</title>
            </rect>
          ))}
          {periods.map((period, index) =>
            index % every ? null : (
              <text
                key={period}
                x={(FRAME.width / periods.length) * (index + 0.5)}
                y={FRAME.height + 16}
                textAnchor="middle"
                fill="var(--fg-subtle)"
              >
                {period}
              </text>
            ),
          )}
        </g>
      </svg>
    </figure>
  )
}

function Key({ label, color }: { label: string; color: string }): ReactNode {
  return (
    <span className="flex items-center gap-x-2">
      <span aria-hidden className="h-2 w-2" style={{ backgroundColor: color }} />
      <Text size="small" className="text-ui-fg-subtle">
        {label}
      </Text>
    </span>
  )
}
