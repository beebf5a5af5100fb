import type { Metadata } from "next"
import { ProductGrid } from "@/components/product-card"
import { getTexts } from "@/lib/language"
import { getRegion, listProducts } from "@/lib/shop"

export async function generateMetadata(): Promise<Metadata> {
  return { title: (await getTexts()).products.title }
}

export default async function Products() {
  const [{ products: t }, region, products] = await Promise.all([getTexts(), getRegion(), listProducts()])
  return (
    <>
      <h1>{t.heading}</h1>
      <h2 className="visually-hidden">{t.list}</h2>
      {products.length ? (
        <ProductGrid products={products} currency={region.currency_code} />
      ) : (
        <p className="empty">{t.empty}</p>
      )}
    </>
  )
}
