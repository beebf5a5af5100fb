import type { HttpTypes } from "@medusajs/types"
import type { ReactNode } from "react"
import { isNothing } from "@/lib/money"
import type { Texts } from "@/lib/texts"

type Sums = Pick<
  HttpTypes.StoreCart,
  "currency_code" | "original_item_total" | "original_shipping_total" | "discount_total" | "tax_total" | "total"
>
type LineSums = Partial<Pick<HttpTypes.StoreCartLineItem, "original_total" | "discount_total" | "tax_total" | "total">>

interface TotalsProps {
  t: Texts
  sums: Sums
  /** Lines that points pay: their prices in money are not the shopper's. */
  paidWithPoints?: LineSums[]
  /** The sum in points. */
  children?: ReactNode
}

/** What the shopper pays: amounts with tax, without the lines that points pay, and the sum in points. */
export function Totals({ t, sums, paidWithPoints = [], children }: TotalsProps) {
  const money = (amount: number) => t.money(amount, sums.currency_code)
  const without = (total: number, name: keyof LineSums) =>
    paidWithPoints.reduce((rest, line) => rest - (line[name] ?? 0), total)
  const discount = without(sums.discount_total, "discount_total")
  return (
    <dl className="totals">
      <Row label={t.totals.goods} amount={money(without(sums.original_item_total, "original_total"))} />
      <Row label={t.totals.delivery} amount={money(sums.original_shipping_total)} />
      {discount > 0 && !isNothing(discount) && <Row label={t.totals.discount} amount={money(-discount)} />}
      <Row label={t.totals.total} amount={money(without(sums.total, "total"))} className="sum" />
      <Row label={t.totals.tax} amount={money(without(sums.tax_total, "tax_total"))} className="hint" />
      {children}
    </dl>
  )
}

export function Row({ label, amount, className }: { label: string; amount: ReactNode; className?: string }) {
  return (
    <div className={className}>
      <dt>{label}</dt>
      <dd>{amount}</dd>
    </div>
  )
}
