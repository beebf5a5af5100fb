"use client"

import type { ReactNode } from "react"
import type { Products } from "../types.js"
import { useDustContext } from "./context.js"
import { useResource } from "./hooks.js"

export interface PointsPriceProps {
  /** Asks for the price in points, with those of all other products of the page. Not needed with `price`. */
  productId?: string
  /** The price in points that the server has read; null if the product has none. */
  price?: Products[string] | null
  /** For lines of a cart or an order. */
  quantity?: number
  /** The price in money as your shop shows it, or `amount`. */
  children?: ReactNode
  /** The price in money, in major units of the provider's currency. */
  amount?: number | string
}

/** A price in money, in points, or in either. Products that only points can buy show no money. */
export function PointsPrice({ productId, price, quantity = 1, children, amount }: PointsPriceProps) {
  const { texts, dir, actions, productPrice } = useDustContext()
  const mustAsk = price === undefined && productId !== undefined && actions.products !== undefined
  const { data, error } = useResource(`price:${productId}`, mustAsk ? () => productPrice(productId) : undefined, {
    once: true,
  })
  const money = children ?? (amount === undefined ? null : texts.money(amount))
  const product = price === undefined ? data : price
  // Money only when it is certain: it would be wrong for a product that only points can buy.
  if (mustAsk && product === undefined && !error) return <span className="dust dust-price dust-price-empty" aria-hidden="true" />
  if (!product?.dust_price) return <>{money}</>
  const points = texts.points(product.dust_price * quantity)
  return (
    <span className="dust dust-price" dir={dir}>
      {product.dust_only ? (
        <strong>{texts.t("price", { points })}</strong>
      ) : (
        <>
          {money} <span className="dust-price-or">{texts.t("priceOr", { points })}</span>
        </>
      )}
    </span>
  )
}
