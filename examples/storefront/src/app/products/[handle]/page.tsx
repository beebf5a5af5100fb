import { EarnHint } from "dust-storefront-kit/react"
import type { Metadata } from "next"
import { notFound } from "next/navigation"
import { Field, Form } from "@/components/form"
import { Price } from "@/components/price"
import { ProductArt } from "@/components/product-art"
import { addToCart } from "@/lib/actions"
import { lowestPrice } from "@/lib/money"
import { getProduct, getRegion } from "@/lib/shop"

type Props = { params: Promise<{ handle: string }> }

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  return { title: (await getProduct((await params).handle))?.title }
}

export default async function Product({ params }: Props) {
  const [region, product] = await Promise.all([getRegion(), getProduct((await params).handle)])
  if (!product) notFound()
  const price = lowestPrice(product)
  const variants = product.variants ?? []
  return (
    <div className="product">
      <ProductArt handle={product.handle} title={product.title} thumbnail={product.thumbnail} />
      <section>
        <h1>{product.title}</h1>
        {product.description && <p className="lead">{product.description}</p>}
        {price === undefined ? (
          <p>Not sold in your region</p>
        ) : (
          <>
            <p className="price large">
              <Price productId={product.id} amount={price.shown} currency={region.currency_code} ids={product.id} />
            </p>
            <EarnHint productId={product.id} amount={price.net} />
            <Form action={addToCart} submit="Add to cart" className="buy">
              {variants.length > 1 ? (
                <label className="field">
                  <span>Variant</span>
                  <select name="variant_id">
                    {variants.map(({ id, title }) => (
                      <option key={id} value={id}>
                        {title}
                      </option>
                    ))}
                  </select>
                </label>
              ) : (
                <input type="hidden" name="variant_id" value={variants[0]?.id} />
              )}
              <Field label="Quantity" name="quantity" type="number" inputMode="numeric" min={1} max={99} defaultValue={1} />
            </Form>
          </>
        )}
        <p className="hint">With tax. Delivery is added in the checkout.</p>
      </section>
    </div>
  )
}
