import { ThankYou } from "dust-storefront-kit/react"
import type { Metadata } from "next"
import Link from "next/link"
import { notFound } from "next/navigation"
import { Ordered } from "@/components/ordered"
import { getTexts } from "@/lib/language"
import { getOrder } from "@/lib/shop"

export async function generateMetadata(): Promise<Metadata> {
  return { title: (await getTexts()).order.title }
}

export default async function Order({ params }: { params: Promise<{ id: string }> }) {
  const [{ order: t, date }, order] = await Promise.all([getTexts(), getOrder((await params).id)])
  if (!order) notFound()
  return (
    <>
      <h1>{t.thanks}</h1>
      <p className="lead">{t.summary(order.display_id, date(order.created_at), order.email ?? "")}</p>
      <div className="columns">
        <section className="panel">
          <h2>{t.what}</h2>
          <Ordered order={order} />
        </section>
        <aside className="side">
          <ThankYou orderId={order.id} signInHref="/login" signUpHref="/signup" />
          <div className="panel">
            <h2>{t.address}</h2>
            <address>
              {order.shipping_address?.first_name} {order.shipping_address?.last_name}
              <br />
              {order.shipping_address?.address_1}
              <br />
              {order.shipping_address?.postal_code} {order.shipping_address?.city}
            </address>
            <Link href="/products" className="button quiet">
              {t.goOn}
            </Link>
          </div>
        </aside>
      </div>
    </>
  )
}
