"use client"

import type { CustomerQuote, PricedItem } from "../../types.js"
import { ActionButton } from "../action-button.js"
import { useDustContext } from "../context.js"
import type { Redeem } from "./checkout-panel.js"

interface LinesProps {
  quote: CustomerQuote
  available: number
  names: Record<string, string>
  redeem: Redeem
}

/** Lines that only points can buy: all of them are paid together. Without `redeem` they are only listed. */
export function DueLines({ quote, available, names, redeem }: Omit<LinesProps, "redeem"> & { redeem?: Redeem }) {
  const { texts } = useDustContext()
  const { t, points } = texts
  const { dust_only_items: items, dust_only_due: due } = quote
  if (!items.length) return null
  const missing = due - available
  return (
    <div className="dust-block dust-due">
      <h3 className="dust-subtitle">{t("dueTitle")}</h3>
      <p>{t("due")}</p>
      <ul className="dust-list">
        {items.map((item) => (
          <li key={item.product_id} className="dust-row">
            <LineName item={item} names={names} />
            <span className="dust-amount">{points(item.dust)}</span>
          </li>
        ))}
      </ul>
      {missing > 0 && <p className="dust-problem">{t("dueMissing", { points: missing })}</p>}
      {redeem && (
        <ActionButton
          id="dust_only"
          text={t("duePay", { points: due })}
          primary
          disabled={missing > 0}
          onClick={() => redeem("dust_only", { pay: "dust_only" }, ({ dust }) => t("duePaid", { points: dust }))}
        />
      )}
    </div>
  )
}

/** Lines that points can buy too: each is paid on its own. */
export function OptionalLines({ quote, available, names, redeem }: LinesProps) {
  const { texts } = useDustContext()
  const { t } = texts
  if (!quote.optional.length) return null
  return (
    <div className="dust-block">
      <h3 className="dust-subtitle">{t("optionalTitle")}</h3>
      <ul className="dust-list">
        {quote.optional.map((item) => {
          const { product_id, quantity, dust } = item
          const missing = dust - available
          return (
            <li key={product_id} className="dust-row">
              <div>
                <LineName item={item} names={names} />
                {missing > 0 && <p className="dust-muted">{t("missing", { points: missing })}</p>}
              </div>
              <ActionButton
                id={product_id}
                text={t("optionalPay", { points: dust })}
                subject={names[product_id] ?? t("product")}
                disabled={missing > 0}
                onClick={() =>
                  redeem(product_id, { items: [{ product_id, quantity }] }, (done) => t("duePaid", { points: done.dust }))
                }
              />
            </li>
          )
        })}
      </ul>
    </div>
  )
}

function LineName({ item, names }: { item: PricedItem; names: Record<string, string> }) {
  const { texts } = useDustContext()
  const name = names[item.product_id] ?? texts.t("product")
  return <span>{item.quantity > 1 ? texts.t("quantity", { quantity: texts.number(item.quantity), name }) : name}</span>
}
