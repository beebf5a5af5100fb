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
import { redirect } from "next/navigation"
import { OrderList } from "@/components/order-list"
import { logOut } from "@/lib/actions"
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
        {orders.length ? <OrderList orders={orders} /> : <p>None yet.</p>}
      </section>
    </>
  )
}
