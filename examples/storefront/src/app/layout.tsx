import type { Metadata, Viewport } from "next"
import type { ReactNode } from "react"
import { Nav } from "@/components/nav"
import { Points } from "@/components/points"
import { RegionSelect } from "@/components/region-select"
import { getTexts } from "@/lib/language"
import { getCustomer, getRegion } from "@/lib/shop"
import "dust-storefront-kit/styles.css"
import "./base.css"
import "./shop.css"

export async function generateMetadata(): Promise<Metadata> {
  return { title: { default: "Quayside", template: "%s · Quayside" }, description: (await getTexts()).description }
}

export const viewport: Viewport = { colorScheme: "light dark" }

// Prices, carts and balances are the shopper's own: no page is made at build time.
export const dynamic = "force-dynamic"

export default async function RootLayout({ children }: { children: ReactNode }) {
  const [t, region, customer] = await Promise.all([getTexts(), getRegion(), getCustomer()])
  return (
    <html lang={t.language}>
      <body>
        <a className="skip" href="#main">
          {t.skip}
        </a>
        <Points language={t.language} currency={region.currency_code} customerId={customer?.id ?? null}>
          <Nav />
          <main id="main">{children}</main>
        </Points>
        <footer>
          <p>{t.footer}</p>
          <RegionSelect />
        </footer>
      </body>
    </html>
  )
}
