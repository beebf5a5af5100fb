import { Text } from "@medusajs/ui"
import type { ReactNode } from "react"
import { failures } from "../../i18n/en/failures"
import { noted } from "../../lib/explanation"
import { useTexts, type Translate } from "../../lib/texts"

type Props = { code: string | null; reason: string | null }

/** Why an event failed: what its error code means, then the bridge's sentence with the details. */
export function Reason({ code, reason }: Props): ReactNode {
  const t = useTexts()
  const meaning = meaningOf(code, t)
  const details = reason && noted(reason, t)
  if (!meaning) return <Text size="small">{details ?? code}</Text>
  return (
    <>
      <Text size="small">{meaning}</Text>
      <Text size="xsmall" className="text-ui-fg-muted break-words">
        {details}
      </Text>
    </>
  )
}

/** Undefined for a code of a newer bridge. */
export function meaningOf(code: string | null, t: Translate): string | undefined {
  return code && code in failures ? t(`failures.${code}`) : undefined
}
