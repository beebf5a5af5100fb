import { CheckoutPanel } from "dust-storefront-kit/react"
import type { Metadata } from "next"
import Link from "next/link"
import { CartLines, namesOf, versionOf } from "@/components/cart-lines"
import { CartTotals } from "@/components/cart-totals"
import { Coupons } from "@/components/coupons"
import { getTexts } from "@/lib/language"
import { getCart } from "@/lib/shop"

export async function generateMetadata(): Promise<Metadata> {
  return { title: (await getTexts()).cart.title }
}

export default async function Cart() {
  const [t, cart] = await Promise.all([getTexts(), getCart()])
  if (!cart?.items?.length)
    return (
      <div className="empty">
        <h1>{t.cart.empty}</h1>
        <Link href="/products" className="button">
          {t.products.see}
        </Link>
      </div>
    )
  return (
    <>
      <h1>{t.cart.heading}</h1>
      <div className="columns">
        <CartLines cart={cart} />
        <aside className="side">
          <div className="panel">
            <h2>{t.cart.sum}</h2>
            <CartTotals cart={cart} />
            <Link href="/checkout" className="button wide">
              {t.cart.checkout}
            </Link>
          </div>
          <CheckoutPanel
            version={versionOf(cart)}
            names={namesOf(cart)}
            signInHref="/login?next=/cart"
            signUpHref="/signup?next=/cart"
          />
          <Coupons cart={cart} />
        </aside>
      </div>
    </>
  )
}
