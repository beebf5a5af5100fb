import { ThankYou } from "dust-storefront-kit/react"
import type { Metadata } from "next"
import Link from "next/link"
import { notFound } from "next/navigation"
import { Ordered } from "@/components/ordered"
import { formatDate } from "@/lib/money"
import { getOrder } from "@/lib/shop"

export const metadata: Metadata = { title: "Order" }

export default async function Order({ params }: { params: Promise<{ id: string }> }) {
  const order = await getOrder((await params).id)
  if (!order) notFound()
  return (
    <>
      <h1>Thank you for your order</h1>
      <p className="lead">
        Order {order.display_id}, {formatDate(order.created_at)}. We write to {order.email} when it is on its way.
      </p>
      <div className="columns">
        <section className="panel">
          <h2>What you ordered</h2>
          <Ordered order={order} />
        </section>
        <aside className="side">
          <ThankYou orderId={order.id} signInHref="/login" signUpHref="/signup" />
          <div className="panel">
            <h2>It goes to</h2>
            <address>
              {order.shipping_address?.first_name} {order.shipping_address?.last_name}
              <br />
              {order.shipping_address?.address_1}
              <br />
              {order.shipping_address?.postal_code} {order.shipping_address?.city}
            </address>
            <Link href="/products" className="button quiet">
              Go on shopping
            </Link>
          </div>
        </aside>
      </div>
    </>
  )
}
