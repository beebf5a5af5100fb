"use client"

import { useEffect, useState } from "react"
import type { RulePart } from "../types.js"
import { useDustContext } from "./context.js"
import { useQuote, useResource } from "./hooks.js"
import { Breakdown } from "./parts.js"

export type EarnHintProps =
  /** The server has asked already. */
  | { points: number }
  /** A product with the price shown for one unit. All hints of a page are asked for in one call. */
  | { productId: string; amount: number | string; quantity?: number }
  /** The shopper's cart. `version` changes with it, such as `${cart.updated_at} ${cart.total}`. */
  | { cart: true; version?: unknown }

/** What a product or the cart earns. Its place is kept while that is unknown. */
export function EarnHint(props: EarnHintProps) {
  if ("points" in props) return <Hint points={props.points} />
  if ("cart" in props) return <CartHint version={props.version} />
  return <ProductHint {...props} />
}

function ProductHint({ productId, amount, quantity = 1 }: { productId: string; amount: number | string; quantity?: number }) {
  const { actions, texts, forecastItem } = useDustContext()
  const isPossible = actions.forecast && texts.currency
  const { data, loading } = useResource(
    `earn:${productId}:${amount}:${quantity}:${texts.currency}`,
    isPossible ? () => forecastItem({ product_id: productId, amount, quantity }) : undefined,
    { once: true },
  )
  // Another variant was chosen: the number stays until the next one is there.
  const [last, setLast] = useState<number>()
  useEffect(() => {
    if (data) setLast(data.earn)
  }, [data])
  return <Hint points={data?.earn ?? (loading ? last : undefined)} />
}

function CartHint({ version }: { version?: unknown }) {
  const { data } = useQuote(version)
  if (!data) return <Hint />
  return data.guest ? <Hint points={data.escrow} parts={data.breakdown} /> : <Hint points={data.earn} parts={data.breakdown} order />
}

function Hint({ points, parts = [], order = false }: { points?: number; parts?: RulePart[]; order?: boolean }) {
  const { texts, dir } = useDustContext()
  if (!points) return <span className="dust dust-earn" aria-hidden="true" />
  return (
    <>
      <span className="dust dust-earn" dir={dir}>
        <span className="dust-star" aria-hidden="true" />
        {texts.t(order ? "earnOrder" : "earn", { points })}
      </span>
      <Breakdown parts={parts} />
    </>
  )
}
