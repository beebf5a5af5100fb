"use client"

import type { HttpTypes } from "@medusajs/types"
import { useOrder } from "dust-storefront-kit/react"
import { isNothing } from "@/lib/money"
import { useTexts } from "./language"
import { PointsAmount, PointsTotal } from "./points-totals"
import { Totals } from "./totals"

/** The lines of an order and what they cost, in money and in points. */
export function Ordered({ order }: { order: HttpTypes.StoreOrder }) {
  const t = useTexts()
  const { data, error, loading } = useOrder(order.id)
  const lines = order.items ?? []
  const points = new Map(data?.spent_on_lines.map(({ line_item_id, dust }) => [line_item_id, dust]))
  // Dust hears of an order within a second or two. Until then, a line without a price may be one that points paid.
  const isUnknown = loading || error?.code === "order_not_found"
  const mayBePaid = lines.filter((line) => isNothing(line.total) && !isNothing(line.original_total))
  const paidWithPoints = mayBePaid.filter(({ id }) => isUnknown || points.has(id))
  return (
    <>
      <ul className="short-lines">
        {lines.map((line) => (
          <li key={line.id}>
            {line.quantity} × {line.product_title}
            <span className="price">
              {!paidWithPoints.includes(line) ? (
                t.money(line.original_total, order.currency_code)
              ) : isUnknown ? (
                <span className="dust dust-price dust-price-empty" />
              ) : (
                <PointsAmount amount={points.get(line.id) ?? 0} />
              )}
            </span>
          </li>
        ))}
      </ul>
      <Totals t={t} sums={order} paidWithPoints={paidWithPoints}>
        <PointsTotal amount={data?.spent ?? 0} />
      </Totals>
    </>
  )
}
