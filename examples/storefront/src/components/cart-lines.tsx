import type { HttpTypes } from "@medusajs/types"
import Link from "next/link"
import { changeQuantity } from "@/lib/actions"
import { getTexts } from "@/lib/language"
import { Field, Form } from "./form"
import { Price } from "./price"
import { ProductArt } from "./product-art"

export async function CartLines({ cart }: { cart: HttpTypes.StoreCart }) {
  const t = await getTexts()
  return (
    <ul className="lines">
      {cart.items?.map((line) => (
        <li key={line.id}>
          <ProductArt handle={line.product_handle} title={line.product_title ?? line.title} thumbnail={line.thumbnail} />
          <div>
            <h2>
              <Link href={`/products/${line.product_handle}`}>{line.product_title}</Link>
            </h2>
            <p className="hint">{line.variant_title}</p>
            <div className="quantity">
              <Form action={changeQuantity} submit={t.cart.update} about={versionOf(cart)} quiet>
                <input type="hidden" name="line_id" value={line.id} />
                {/* The key shows the quantity of the last render. */}
                <Field
                  key={line.quantity}
                  label={t.cart.quantityOf(line.product_title ?? line.title)}
                  name="quantity"
                  type="number"
                  inputMode="numeric"
                  min={0}
                  max={99}
                  defaultValue={line.quantity}
                />
              </Form>
              <Form
                action={changeQuantity}
                submit={
                  <>
                    {t.cart.remove}
                    <span className="visually-hidden"> {line.product_title}</span>
                  </>
                }
                about={versionOf(cart)}
                quiet
              >
                <input type="hidden" name="line_id" value={line.id} />
                <input type="hidden" name="quantity" value="0" />
              </Form>
            </div>
          </div>
          <p className="price">
            <LinePrice line={line} lines={cart.items ?? []} currency={cart.currency_code} />
          </p>
        </li>
      ))}
    </ul>
  )
}

interface LineProps {
  line: HttpTypes.StoreCartLineItem
  lines: { product_id?: string | null }[]
  currency: string
}

export function LinePrice({ line, lines, currency }: LineProps) {
  const amount = line.original_total ?? 0
  return (
    <Price
      productId={line.product_id ?? ""}
      amount={amount}
      currency={currency}
      quantity={line.quantity}
      ids={productIds(lines)}
    />
  )
}

/** With commas between them, as all components of a page ask for the points prices in one call. */
export const productIds = (lines: { product_id?: string | null }[]) => lines.flatMap(({ product_id: id }) => id ?? []).join()

/** Changes with the cart. A code that enters or leaves it does not change its `updated_at` (Medusa 2.21.2). */
export function versionOf(cart: HttpTypes.StoreCart): string {
  return [cart.updated_at, cart.total, ...cart.promotions.map(({ code }) => code)].join()
}

/** Names of products by their id, for what the kit says about them. */
export function namesOf(cart: HttpTypes.StoreCart): Record<string, string> {
  return Object.fromEntries((cart.items ?? []).map((line) => [line.product_id, line.product_title ?? line.title]))
}
