import { NavBalance } from "dust-storefront-kit/react"
import Link from "next/link"
import { Suspense } from "react"
import { dust } from "@/lib/dust"
import { getTexts } from "@/lib/language"
import { getToken } from "@/lib/session"
import { getCart, getCustomer } from "@/lib/shop"

export async function Nav() {
  const t = await getTexts()
  return (
    <header className="nav">
      <Link href="/" className="brand">
        <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
          <circle cx="16" cy="13" r="7" fill="var(--accent)" />
          <path
            d="M3 22q6.5-6 13 0t13 0M3 28q6.5-6 13 0t13 0"
            fill="none"
            stroke="currentColor"
            strokeWidth="2.4"
            strokeLinecap="round"
          />
        </svg>
        Quayside
      </Link>
      <nav aria-label={t.nav.label}>
        <Link href="/products">{t.nav.shop}</Link>
        <Suspense fallback={<Link href="/account">{t.nav.account}</Link>}>
          <AccountLink />
        </Suspense>
        <Suspense fallback={<span className="dust dust-nav dust-nav-empty" />}>
          <OwnPoints />
        </Suspense>
        <Suspense fallback={<CartLink count={0} text={t.nav.cart} />}>
          <OwnCart />
        </Suspense>
      </nav>
    </header>
  )
}

async function AccountLink() {
  const [t, customer] = await Promise.all([getTexts(), getCustomer()])
  return customer ? <Link href="/account">{t.nav.account}</Link> : <Link href="/login">{t.nav.logIn}</Link>
}

/** Read on the server, so that it is there before the scripts are. */
async function OwnPoints() {
  const { data } = (await getToken()) ? await dust.balance() : {}
  return <NavBalance balance={data} href="/account" />
}

async function OwnCart() {
  const [t, cart] = await Promise.all([getTexts(), getCart()])
  const count = (cart?.items ?? []).reduce((sum, { quantity }) => sum + quantity, 0)
  return <CartLink count={count} text={t.nav.cart} />
}

function CartLink({ count, text }: { count: number; text: string }) {
  return (
    <Link href="/cart">
      {text} <span className="count">{count}</span>
    </Link>
  )
}
