import type { Metadata } from "next"
import { ProductGrid } from "@/components/product-card"
import { getRegion, listProducts } from "@/lib/shop"

export const metadata: Metadata = { title: "Shop" }

export default async function Products() {
  const [region, products] = await Promise.all([getRegion(), listProducts()])
  return (
    <>
      <h1>Everything we make</h1>
      <h2 className="visually-hidden">Products</h2>
      {products.length ? (
        <ProductGrid products={products} currency={region.currency_code} />
      ) : (
        <p className="empty">The shelves are empty. Create a product in Medusa's dashboard.</p>
      )}
    </>
  )
}
