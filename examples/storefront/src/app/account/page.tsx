import {
  BalanceSummary,
  ExpiringList,
  History,
  OpenRedemptions,
  PendingList,
  Referral,
  TierProgress,
} from "dust-storefront-kit/react"
import type { Metadata } from "next"
import Link from "next/link"
import { redirect } from "next/navigation"
import { logOut } from "@/lib/actions"
import { formatDate, formatMoney } from "@/lib/money"
import { getToken } from "@/lib/session"
import { getCustomer, listOrders } from "@/lib/shop"

export const metadata: Metadata = { title: "Account" }

export default async function Account() {
  const customer = await getCustomer()
  if (!customer) redirect((await getToken()) ? "/login?ended=1" : "/login")
  const orders = await listOrders()
  return (
    <>
      <div className="heading">
        <h1>Hello {customer.first_name}</h1>
        <form action={logOut}>
          <button className="button quiet">Log out</button>
        </form>
      </div>
      <div className="tiles">
        <BalanceSummary />
        <OpenRedemptions />
        <TierProgress />
        <PendingList />
        <ExpiringList />
        <History />
        <Referral />
      </div>
      <section className="panel">
        <h2>Your orders</h2>
        {orders.length ? (
          <ul className="orders">
            {orders.map((order) => (
              <li key={order.id}>
                <Link href={`/order/${order.id}`}>Order {order.display_id}</Link>
                <span>{formatDate(order.created_at)}</span>
                <span className="price">{formatMoney(order.total, order.currency_code)}</span>
              </li>
            ))}
          </ul>
        ) : (
          <p>None yet.</p>
        )}
      </section>
    </>
  )
}
