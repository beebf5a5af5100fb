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
import { notFound, redirect } from "next/navigation"
import { OrderList } from "@/components/order-list"
import { Pages } from "@/components/pages"
import { logOut } from "@/lib/actions"
import { getTexts } from "@/lib/language"
import { getToken } from "@/lib/session"
import { getCustomer, listOrders, pageOf } from "@/lib/shop"

export async function generateMetadata(): Promise<Metadata> {
  return { title: (await getTexts()).account.title }
}

export default async function Account({ searchParams }: { searchParams: Promise<{ page?: string }> }) {
  const customer = await getCustomer()
  if (!customer) redirect((await getToken()) ? "/login?ended=1" : "/login")
  const page = pageOf((await searchParams).page)
  const [{ account: t }, { items, pages }] = await Promise.all([getTexts(), listOrders(page)])
  if (page > pages) notFound()
  return (
    <>
      <div className="heading">
        <h1>{t.hello(customer.first_name ?? "")}</h1>
        <form action={logOut}>
          <button className="button quiet">{t.logOut}</button>
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
        <h2>{t.orders}</h2>
        {items.length ? <OrderList orders={items} /> : <p>{t.noOrders}</p>}
        <Pages path="/account" page={page} pages={pages} />
      </section>
    </>
  )
}
