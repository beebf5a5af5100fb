import Link from "next/link"
import { ProductGrid } from "@/components/product-card"
import { getRegion, listProducts } from "@/lib/shop"

export default async function Home() {
  const [region, products] = await Promise.all([getRegion(), listProducts(4)])
  return (
    <>
      <section className="hero">
        <p className="eyebrow">New on the quay</p>
        <h1>Made for windy days</h1>
        <p>Plain things that last, from a small harbour town. Packed today, with you in two or three days.</p>
        <Link href="/products" className="button">
          See everything
        </Link>
      </section>
      <section>
        <h2>This week</h2>
        <ProductGrid products={products} currency={region.currency_code} />
      </section>
    </>
  )
}
