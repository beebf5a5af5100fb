import { CheckoutPanel } from "dust-storefront-kit/react"
import type { Metadata } from "next"
import Link from "next/link"
import { CartLines, namesOf, versionOf } from "@/components/cart-lines"
import { CartTotals } from "@/components/cart-totals"
import { Coupons } from "@/components/coupons"
import { getCart } from "@/lib/shop"

export const metadata: Metadata = { title: "Cart" }

export default async function Cart() {
  const cart = await getCart()
  if (!cart?.items?.length)
    return (
      <div className="empty">
        <h1>Your cart is empty</h1>
        <Link href="/products" className="button">
          See what we make
        </Link>
      </div>
    )
  return (
    <>
      <h1>Your cart</h1>
      <div className="columns">
        <CartLines cart={cart} />
        <aside className="side">
          <div className="panel">
            <h2>Sum</h2>
            <CartTotals cart={cart} />
            <Link href="/checkout" className="button wide">
              Go to the checkout
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
