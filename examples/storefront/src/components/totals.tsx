import type { HttpTypes } from "@medusajs/types"
import { formatMoney } from "@/lib/money"

type Sums = Pick<
  HttpTypes.StoreCart,
  "currency_code" | "original_item_total" | "original_shipping_total" | "discount_total" | "tax_total" | "total"
>

/** All amounts with tax, as a shopper pays them. */
export function Totals({ sums }: { sums: Sums }) {
  const money = (amount: number) => formatMoney(amount, sums.currency_code)
  return (
    <dl className="totals">
      <Row label="Goods" amount={money(sums.original_item_total)} />
      <Row label="Delivery" amount={money(sums.original_shipping_total)} />
      {sums.discount_total > 0 && <Row label="Discount" amount={money(-sums.discount_total)} />}
      <Row label="Total" amount={money(sums.total)} className="sum" />
      <Row label="Includes tax of" amount={money(sums.tax_total)} className="hint" />
    </dl>
  )
}

function Row({ label, amount, className }: { label: string; amount: string; className?: string }) {
  return (
    <div className={className}>
      <dt>{label}</dt>
      <dd>{amount}</dd>
    </div>
  )
}
