import { Text } from "@medusajs/ui"
import type { ReactNode } from "react"
import type { DustSimulationResult } from "../../../types"
import { shown } from "../../lib/format"
import { barsOf, chartText } from "../../lib/impact"
import { useTexts } from "../../lib/texts"

const WIDTH = 760
const HEIGHT = 160
const LABELS = 24
// Colours of Medusa's theme, light and dark.
const FILL = { now: "var(--fg-muted)", then: "var(--fg-interactive)" }

/** The points of each month, now and then, as bars. */
export function ImpactChart({ months }: { months: DustSimulationResult["by_month"] }): ReactNode {
  const t = useTexts()
  const bars = barsOf(months, WIDTH, HEIGHT)
  return (
    <figure className="flex flex-col gap-y-2">
      <svg role="img" aria-label={chartText(months, t)} viewBox={`0 0 ${WIDTH} ${HEIGHT + LABELS}`} className="w-full">
        {bars.map(({ name, kind, points, ...box }) => (
          <rect key={`${name} ${kind}`} {...box} style={{ fill: FILL[kind] }}>
            <title>{shown(points)}</title>
          </rect>
        ))}
        <line x1={0} x2={WIDTH} y1={HEIGHT} y2={HEIGHT} style={{ stroke: "var(--border-base)" }} />
        {months.map(({ name }, index) => (
          <text
            key={name}
            x={(WIDTH / months.length) * (index + 0.5)}
            y={HEIGHT + LABELS - 6}
            textAnchor="middle"
            fontSize={13}
            style={{ fill: "var(--fg-subtle)" }}
          >
            {name}
          </text>
        ))}
      </svg>
      <figcaption className="flex gap-x-4">
        <Legend colour={FILL.now} label={t("impact.now")} />
        <Legend colour={FILL.then} label={t("impact.then")} />
      </figcaption>
    </figure>
  )
}

function Legend({ colour, label }: { colour: string; label: string }): ReactNode {
  return (
    <span className="flex items-center gap-x-2">
      <span aria-hidden className="h-3 w-3 rounded-sm" style={{ background: colour }} />
      <Text size="small" as="span">
        {label}
      </Text>
    </span>
  )
}
