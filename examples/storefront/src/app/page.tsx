import Link from "next/link"
import { ProductGrid } from "@/components/product-card"
import { getTexts } from "@/lib/language"
import { getRegion, listProducts } from "@/lib/shop"

export default async function Home() {
  const [{ home: t }, region, { items }] = await Promise.all([getTexts(), getRegion(), listProducts(1, 4)])
  return (
    <>
      <section className="hero">
        <p className="eyebrow">{t.eyebrow}</p>
        <h1>{t.title}</h1>
        <p>{t.lead}</p>
        <Link href="/products" className="button">
          {t.all}
        </Link>
      </section>
      <section>
        <h2>{t.thisWeek}</h2>
        <ProductGrid products={items} currency={region.currency_code} />
      </section>
    </>
  )
}
