import { EarnHint } from "dust-storefront-kit/react"
import type { Metadata } from "next"
import { notFound } from "next/navigation"
import { Field, Form } from "@/components/form"
import { Price } from "@/components/price"
import { ProductArt } from "@/components/product-art"
import { addToCart } from "@/lib/actions"
import { getTexts } from "@/lib/language"
import { lowestPrice } from "@/lib/money"
import { getProduct, getRegion } from "@/lib/shop"

type Props = { params: Promise<{ handle: string }> }

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  return { title: (await getProduct((await params).handle))?.title }
}

export default async function Product({ params }: Props) {
  const [t, region, product] = await Promise.all([getTexts(), getRegion(), getProduct((await params).handle)])
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
          <p>{t.notInRegion}</p>
        ) : (
          <>
            <p className="price large">
              <Price productId={product.id} amount={price.shown} currency={region.currency_code} ids={product.id} />
            </p>
            <EarnHint productId={product.id} amount={price.net} />
            <Form action={addToCart} submit={t.products.add} className="buy">
              {variants.length > 1 ? (
                <label className="field">
                  <span>{t.products.variant}</span>
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
              <Field label={t.quantity} name="quantity" type="number" inputMode="numeric" min={1} max={99} defaultValue={1} />
            </Form>
          </>
        )}
        <p className="hint">{t.products.hint}</p>
      </section>
    </div>
  )
}
