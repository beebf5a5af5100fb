import { Heading, Text } from "@medusajs/ui"
import type { ReactNode } from "react"

type Figure = { label: string; value: string; hint?: string }

/** Numbers side by side, as many in a row as there is room for. */
export function Figures({ figures }: { figures: Figure[] }): ReactNode {
  return (
    <dl className="grid gap-4 px-6 py-4" style={{ gridTemplateColumns: "repeat(auto-fit, minmax(6.5rem, 1fr))" }}>
      {figures.map(({ label, value, hint }) => (
        <div key={label} className="flex flex-col">
          <dt>
            <Text size="small" leading="compact" className="text-ui-fg-subtle">
              {label}
            </Text>
          </dt>
          <dd>
            <Heading level="h2" className="py-1">
              {value}
            </Heading>
            <Text size="xsmall" className="text-ui-fg-muted">
              {hint}
            </Text>
          </dd>
        </div>
      ))}
    </dl>
  )
}
