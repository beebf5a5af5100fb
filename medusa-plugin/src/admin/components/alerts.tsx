import { Alert, Text } from "@medusajs/ui"
import { useQuery } from "@tanstack/react-query"
import type { ReactNode } from "react"
import type { DustAlert, DustAlertList } from "../../types"
import { alerts as known } from "../i18n/en/alerts"
import { dust } from "../lib/dust"
import { moment, shown } from "../lib/format"
import { useTexts } from "../lib/texts"

const REFRESH_MS = 15_000

/** What needs attention now. Nothing while the bridge does not answer: the figures below say that. */
export function Alerts(): ReactNode {
  const query = useQuery({
    queryKey: ["dust", "alerts"],
    queryFn: () => dust<DustAlertList>("/alerts"),
    refetchInterval: REFRESH_MS,
  })
  if (!query.data?.alerts.length) return null
  return (
    <div className="flex flex-col gap-y-3 px-6 py-4">
      {query.data.alerts.map((alert) => (
        <OpenAlert key={alert.code} alert={alert} />
      ))}
    </div>
  )
}

function OpenAlert({ alert }: { alert: DustAlert }): ReactNode {
  const t = useTexts()
  // A newer bridge may have alerts that these texts do not know.
  const isKnown = alert.code in known.codes
  return (
    <Alert variant={alert.severity === "critical" ? "error" : "warning"}>
      <Text size="small" weight="plus">
        {isKnown ? t(`alerts.codes.${alert.code}.message`, { count: shown(alert.count ?? 0) }) : alert.message}
      </Text>
      <Text size="small">{isKnown ? t(`alerts.codes.${alert.code}.action`) : alert.action}</Text>
      {alert.since && (
        <Text size="xsmall" className="text-ui-fg-subtle">
          {t("alerts.since", { date: moment(alert.since) })}
        </Text>
      )}
    </Alert>
  )
}
