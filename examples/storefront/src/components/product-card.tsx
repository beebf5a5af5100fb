import type { HttpTypes } from "@medusajs/types"
import Link from "next/link"
import { formatMoney, lowestPrice } from "@/lib/money"
import { ProductArt } from "./product-art"

export function ProductGrid({ products, currency }: { products: HttpTypes.StoreProduct[]; currency: string }) {
  return (
    <ul className="grid">
      {products.map((product) => (
        <li key={product.id}>
          <ProductCard product={product} currency={currency} />
        </li>
      ))}
    </ul>
  )
}

function ProductCard({ product, currency }: { product: HttpTypes.StoreProduct; currency: string }) {
  const price = lowestPrice(product)
  return (
    <article className="card">
      <ProductArt handle={product.handle} title={product.title} thumbnail={product.thumbnail} />
      <h3>
        <Link href={`/products/${product.handle}`}>{product.title}</Link>
      </h3>
      <p className="price">{price === undefined ? "Not sold in your region" : formatMoney(price.shown, currency)}</p>
    </article>
  )
}
