import type { HttpTypes } from "@medusajs/types"
import { EarnHint } from "dust-storefront-kit/react"
import Link from "next/link"
import { getTexts } from "@/lib/language"
import { lowestPrice } from "@/lib/money"
import { Price } from "./price"
import { ProductArt } from "./product-art"

export function ProductGrid({ products, currency }: { products: HttpTypes.StoreProduct[]; currency: string }) {
  const ids = products.map(({ id }) => id).join()
  return (
    <ul className="grid">
      {products.map((product) => (
        <li key={product.id}>
          <ProductCard product={product} currency={currency} ids={ids} />
        </li>
      ))}
    </ul>
  )
}

interface CardProps {
  product: HttpTypes.StoreProduct
  currency: string
  ids: string
}

async function ProductCard({ product, currency, ids }: CardProps) {
  const t = await getTexts()
  const price = lowestPrice(product)
  return (
    <article className="card">
      <ProductArt handle={product.handle} title={product.title} thumbnail={product.thumbnail} />
      <h3>
        <Link href={`/products/${product.handle}`}>{product.title}</Link>
      </h3>
      {price === undefined ? (
        <p>{t.notInRegion}</p>
      ) : (
        <>
          <p className="price">
            <Price productId={product.id} amount={price.shown} currency={currency} ids={ids} />
          </p>
          <EarnHint productId={product.id} amount={price.net} />
        </>
      )}
    </article>
  )
}
