import { PointsPrice } from "dust-storefront-kit/react"
import { Suspense } from "react"
import { listPointsPrices } from "@/lib/dust"
import { getTexts } from "@/lib/language"

interface PriceProps {
  productId: string
  /** In money, with tax, for the whole quantity. */
  amount: number
  currency: string
  quantity?: number
  /** Products of the page, with commas between them: their points prices are asked for in one call. */
  ids: string
}

/** A price in money, points or either. While Dust does not answer, its place stays empty. */
export function Price(props: PriceProps) {
  return (
    <Suspense fallback={<span className="dust dust-price dust-price-empty" />}>
      <Loaded {...props} />
    </Suspense>
  )
}

async function Loaded({ productId, amount, currency, quantity, ids }: PriceProps) {
  const [t, prices] = await Promise.all([getTexts(), listPointsPrices(ids)])
  return (
    <PointsPrice price={prices[productId] ?? null} quantity={quantity}>
      {t.money(amount, currency)}
    </PointsPrice>
  )
}
