import { useQuery } from "@tanstack/react-query"
import type { ReactNode } from "react"
import type { DustOverview } from "../../types"
import { dust } from "../lib/dust"
import { moment, numbered, shown } from "../lib/format"
import { useTexts, type Translate } from "../lib/texts"
import { Figures } from "./figures"
import { OrderList } from "./links"
import { Loaded } from "./states"

const REFRESH_MS = 15_000

export function OverviewFigures(): ReactNode {
  const t = useTexts()
  const query = useQuery({
    queryKey: ["dust", "overview"],
    queryFn: () => dust<DustOverview>("/overview"),
    refetchInterval: REFRESH_MS,
  })
  return (
    <Loaded query={query}>
      {(overview) => (
        <>
          {/* Orders that the merchant has made past the checkout: as draft orders, by editing, in exchanges. */}
          <OrderList text={t("overview.unpaid", numbered(overview.unpaid_orders.length))} orderIds={overview.unpaid_orders} />
          <Figures
            figures={[
              { label: t("overview.outstanding"), value: shown(overview.outstanding), hint: t("overview.customers", numbered(overview.customers)) },
              { label: t("overview.held"), value: shown(overview.held), hint: t("overview.redemptions", numbered(overview.open_redemptions)) },
              { label: t("overview.pending"), value: shown(overview.pending), hint: t("overview.pendingHint") },
              { label: t("overview.expiring"), value: shown(overview.expiring), hint: t("overview.until", { date: moment(overview.expiring_until) }) },
              {
                label: t("overview.events"),
                value: overview.failed_events ? t("overview.failed", numbered(overview.failed_events)) : t("overview.allWell"),
                hint: waiting(overview, t),
              },
            ]}
          />
        </>
      )}
    </Loaded>
  )
}

function waiting({ waiting_events: count, oldest_waiting_event_at: since }: DustOverview, t: Translate): string {
  return since ? t("overview.waiting", { shown: shown(count), date: moment(since) }) : t("overview.noneWaiting")
}
