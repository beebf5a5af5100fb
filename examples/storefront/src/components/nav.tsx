import { NavBalance } from "dust-storefront-kit/react"
import Link from "next/link"
import { Suspense } from "react"
import { dust } from "@/lib/dust"
import { getToken } from "@/lib/session"
import { getCart, getCustomer } from "@/lib/shop"

export function Nav() {
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
      <nav aria-label="Main">
        <Link href="/products">Shop</Link>
        <Suspense fallback={<Link href="/account">Account</Link>}>
          <AccountLink />
        </Suspense>
        <Suspense fallback={<span className="dust dust-nav dust-nav-empty" />}>
          <OwnPoints />
        </Suspense>
        <Suspense fallback={<CartLink count={0} />}>
          <OwnCart />
        </Suspense>
      </nav>
    </header>
  )
}

async function AccountLink() {
  return (await getCustomer()) ? <Link href="/account">Account</Link> : <Link href="/login">Log in</Link>
}

/** Read on the server, so that it is there before the scripts are. */
async function OwnPoints() {
  const { data } = (await getToken()) ? await dust.balance() : {}
  return <NavBalance balance={data} href="/account" />
}

async function OwnCart() {
  const cart = await getCart()
  return <CartLink count={(cart?.items ?? []).reduce((sum, { quantity }) => sum + quantity, 0)} />
}

function CartLink({ count }: { count: number }) {
  return (
    <Link href="/cart">
      Cart <span className="count">{count}</span>
    </Link>
  )
}
