import type { HttpTypes } from "@medusajs/types"
import { Suspense } from "react"
import { listPointsPrices } from "@/lib/dust"
import { getTexts } from "@/lib/language"
import { productIds, versionOf } from "./cart-lines"
import { CartPoints } from "./points-totals"
import { Totals } from "./totals"

/** What the cart costs, in money and in points. Its place is kept until it is known what only points can buy. */
export function CartTotals({ cart }: { cart: HttpTypes.StoreCart }) {
  return (
    <Suspense fallback={<div className="totals totals-empty" />}>
      <Loaded cart={cart} />
    </Suspense>
  )
}

async function Loaded({ cart }: { cart: HttpTypes.StoreCart }) {
  const lines = cart.items ?? []
  const [t, prices] = await Promise.all([getTexts(), listPointsPrices(productIds(lines))])
  const onlyForPoints = lines.filter((line) => prices[line.product_id ?? ""]?.dust_only)
  const points = onlyForPoints.reduce(
    (sum, line) => sum + (prices[line.product_id ?? ""]?.dust_price ?? 0) * line.quantity,
    0,
  )
  return (
    <Totals t={t} sums={cart} paidWithPoints={onlyForPoints}>
      <CartPoints version={versionOf(cart)} onlyForPoints={points} />
    </Totals>
  )
}
