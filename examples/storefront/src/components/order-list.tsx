import type { HttpTypes } from "@medusajs/types"
import Link from "next/link"
import { Suspense } from "react"
import { listSpentPoints } from "@/lib/dust"
import { getTexts } from "@/lib/language"
import { PointsAmount } from "./points-totals"

/** The customer's orders, with what each cost in money and in points. */
export async function OrderList({ orders }: { orders: HttpTypes.StoreOrder[] }) {
  const t = await getTexts()
  const ids = orders.map(({ id }) => id).join()
  return (
    <ul className="orders">
      {orders.map((order) => (
        <li key={order.id}>
          <Link href={`/order/${order.id}`}>{t.order.number(order.display_id)}</Link>
          <span>{t.date(order.created_at)}</span>
          <span className="price">
            {t.money(order.total, order.currency_code)}
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
  const [t, points] = await Promise.all([getTexts(), listSpentPoints(ids)])
  const spent = points[id] ?? 0
  return (
    spent > 0 && (
      <>
        {" "}
        {t.account.and} <PointsAmount amount={spent} />
      </>
    )
  )
}
