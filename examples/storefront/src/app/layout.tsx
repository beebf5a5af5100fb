import type { Metadata, Viewport } from "next"
import { Suspense, type ReactNode } from "react"
import { Nav } from "@/components/nav"
import { Points } from "@/components/points"
import { RegionSelect } from "@/components/region-select"
import { getCustomer, getRegion } from "@/lib/shop"
import "dust-storefront-kit/styles.css"
import "./base.css"
import "./shop.css"

export const metadata: Metadata = {
  title: { default: "Quayside", template: "%s · Quayside" },
  description: "Clothes and mugs for windy days",
}

export const viewport: Viewport = { colorScheme: "light dark" }

// Prices, carts and balances are the shopper's own: no page is made at build time.
export const dynamic = "force-dynamic"

export default async function RootLayout({ children }: { children: ReactNode }) {
  const [region, customer] = await Promise.all([getRegion(), getCustomer()])
  return (
    <html lang="en">
      <body>
        <a className="skip" href="#main">
          Skip to the content
        </a>
        <Points currency={region.currency_code} customerId={customer?.id ?? null}>
          <Nav />
          <main id="main">{children}</main>
        </Points>
        <footer>
          <p>Quayside is an example of a shop on Medusa. Nothing is sold here.</p>
          <Suspense>
            <RegionSelect />
          </Suspense>
        </footer>
      </body>
    </html>
  )
}
