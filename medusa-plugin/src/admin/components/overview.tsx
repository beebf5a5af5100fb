import { Alert } from "@medusajs/ui"
import { useQuery } from "@tanstack/react-query"
import { Fragment, type ReactNode } from "react"
import { Link } from "react-router-dom"
import type { DustOverview } from "../../types"
import { admin, dust } from "../lib/dust"
import { moment, numbered, shown } from "../lib/format"
import { useTexts, type Translate } from "../lib/texts"
import { Figures } from "./figures"
import { Loaded } from "./states"

const REFRESH_MS = 15_000
const NUMBERS = "fields=id,display_id&limit=100"

type Numbered = { id: string; display_id: number }

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
          <Unpaid orderIds={overview.unpaid_orders} />
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

/** Orders that the merchant has made past the checkout: as draft orders, by editing, in exchanges. */
function Unpaid({ orderIds }: { orderIds: string[] }): ReactNode {
  const t = useTexts()
  // Dust knows ids only; people know an order by its number.
  const numbers = useQuery({
    queryKey: ["dust", "numbers", orderIds],
    queryFn: () => admin<{ orders: Numbered[] }>(`/orders?${orderIds.map((id) => `id[]=${id}`).join("&")}&${NUMBERS}`),
    enabled: orderIds.length > 0,
  })
  const numberOf = (id: string): string => {
    const order = numbers.data?.orders.find((each) => each.id === id)
    return order ? `#${order.display_id}` : id
  }
  if (orderIds.length === 0) return null
  return (
    <div className="px-6 py-4">
      <Alert variant="warning">
        {t("overview.unpaid", numbered(orderIds.length))}{" "}
        {orderIds.map((id, index) => (
          <Fragment key={id}>
            {index > 0 && ", "}
            <Link className="text-ui-fg-base underline" to={`/orders/${id}`}>
              {numberOf(id)}
            </Link>
          </Fragment>
        ))}
      </Alert>
    </div>
  )
}

function waiting({ waiting_events: count, oldest_waiting_event_at: since }: DustOverview, t: Translate): string {
  return since ? t("overview.waiting", { shown: shown(count), date: moment(since) }) : t("overview.noneWaiting")
}
