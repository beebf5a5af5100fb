import type { HttpTypes } from "@medusajs/types"
import Link from "next/link"
import { Suspense } from "react"
import { listSpentPoints } from "@/lib/dust"
import { formatDate, formatMoney } from "@/lib/money"
import { PointsAmount } from "./points-totals"

/** The customer's orders, with what each cost in money and in points. */
export function OrderList({ orders }: { orders: HttpTypes.StoreOrder[] }) {
  const ids = orders.map(({ id }) => id).join()
  return (
    <ul className="orders">
      {orders.map((order) => (
        <li key={order.id}>
          <Link href={`/order/${order.id}`}>Order {order.display_id}</Link>
          <span>{formatDate(order.created_at)}</span>
          <span className="price">
            {formatMoney(order.total, order.currency_code)}
            <Suspense>
              <Spent id={order.id} ids={ids} />
            </Suspense>
          </span>
        </li>
      ))}
    </ul>
  )
}

async function Spent({ id, ids }: { id: string; ids: string }) {
  const spent = (await listSpentPoints(ids))[id] ?? 0
  return (
    spent > 0 && (
      <>
        {" "}
        and <PointsAmount amount={spent} />
      </>
    )
  )
}
