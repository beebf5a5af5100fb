import type { HttpTypes } from "@medusajs/types"
import type { ReactNode } from "react"
import { formatMoney, isNothing } from "@/lib/money"

type Sums = Pick<
  HttpTypes.StoreCart,
  "currency_code" | "original_item_total" | "original_shipping_total" | "discount_total" | "tax_total" | "total"
>
type LineSums = Partial<Pick<HttpTypes.StoreCartLineItem, "original_total" | "discount_total" | "tax_total" | "total">>

interface TotalsProps {
  sums: Sums
  /** Lines that points pay: their prices in money are not the shopper's. */
  paidWithPoints?: LineSums[]
  /** The sum in points. */
  children?: ReactNode
}

/** What the shopper pays: amounts with tax, without the lines that points pay, and the sum in points. */
export function Totals({ sums, paidWithPoints = [], children }: TotalsProps) {
  const money = (amount: number) => formatMoney(amount, sums.currency_code)
  const without = (total: number, name: keyof LineSums) =>
    paidWithPoints.reduce((rest, line) => rest - (line[name] ?? 0), total)
  const discount = without(sums.discount_total, "discount_total")
  return (
    <dl className="totals">
      <Row label="Goods" amount={money(without(sums.original_item_total, "original_total"))} />
      <Row label="Delivery" amount={money(sums.original_shipping_total)} />
      {discount > 0 && !isNothing(discount) && <Row label="Discount" amount={money(-discount)} />}
      <Row label="Total" amount={money(without(sums.total, "total"))} className="sum" />
      <Row label="Includes tax of" amount={money(without(sums.tax_total, "tax_total"))} className="hint" />
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
