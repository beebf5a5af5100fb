import type { Metadata } from "next"
import { notFound } from "next/navigation"
import { Pages } from "@/components/pages"
import { ProductGrid } from "@/components/product-card"
import { getTexts } from "@/lib/language"
import { getRegion, listProducts, pageOf } from "@/lib/shop"

export async function generateMetadata(): Promise<Metadata> {
  return { title: (await getTexts()).products.title }
}

export default async function Products({ searchParams }: { searchParams: Promise<{ page?: string }> }) {
  const page = pageOf((await searchParams).page)
  const [{ products: t }, region, { items, pages }] = await Promise.all([getTexts(), getRegion(), listProducts(page)])
  if (page > pages) notFound()
  return (
    <>
      <h1>{t.heading}</h1>
      <h2 className="visually-hidden">{t.list}</h2>
      {items.length ? (
        <ProductGrid products={items} currency={region.currency_code} />
      ) : (
        <p className="empty">{t.empty}</p>
      )}
      <Pages path="/products" page={page} pages={pages} />
    </>
  )
}
