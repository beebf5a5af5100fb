import { Alert } from "@medusajs/ui"
import { useQuery } from "@tanstack/react-query"
import { Fragment, type ReactNode } from "react"
import { Link } from "react-router-dom"
import type { DustOverview } from "../../types"
import { admin, dust } from "../lib/dust"
import { counted, moment, shown } from "../lib/format"
import { Figures } from "./figures"
import { Loaded } from "./states"

const REFRESH_MS = 15_000
const NUMBERS = "fields=id,display_id&limit=100"

type Numbered = { id: string; display_id: number }

export function OverviewFigures(): ReactNode {
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
              { label: "Outstanding", value: shown(overview.outstanding), hint: counted(overview.customers, "customer") },
              { label: "Held", value: shown(overview.held), hint: counted(overview.open_redemptions, "open redemption") },
              { label: "Pending", value: shown(overview.pending), hint: "Earned, not matured yet" },
              { label: "Expiring", value: shown(overview.expiring), hint: `Until ${moment(overview.expiring_until)}` },
              {
                label: "Events",
                value: overview.failed_events ? `${shown(overview.failed_events)} failed` : "All well",
                hint: waiting(overview),
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
  // Dust knows ids only; people know an order by its number.
  const numbers = useQuery({
    queryKey: ["dust", "numbers", orderIds],
    queryFn: () => admin<{ orders: Numbered[] }>(`/orders?${orderIds.map((id) => `id[]=${id}`).join("&")}&${NUMBERS}`),
    enabled: orderIds.length > 0,
  })
  const number = (id: string): string => {
    const order = numbers.data?.orders.find((each) => each.id === id)
    return order ? `#${order.display_id}` : id
  }
  if (orderIds.length === 0) return null
  return (
    <div className="px-6 py-4">
      <Alert variant="warning">
        {counted(orderIds.length, "order")} with products that are for dust only, not paid with dust:{" "}
        {orderIds.map((id, index) => (
          <Fragment key={id}>
            {index > 0 && ", "}
            <Link className="text-ui-fg-interactive" to={`/orders/${id}`}>
              {number(id)}
            </Link>
          </Fragment>
        ))}
      </Alert>
    </div>
  )
}

function waiting({ waiting_events: count, oldest_waiting_event_at: since }: DustOverview): string {
  return since ? `${shown(count)} waiting since ${moment(since)}` : "None waiting"
}
