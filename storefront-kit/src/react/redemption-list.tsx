"use client"

import type { QuotedRedemption, Redemption } from "../types.js"
import { ActionButton } from "./action-button.js"
import { useDustContext } from "./context.js"
import { Countdown } from "./parts.js"
import type { MessageKey } from "./texts.js"

const NAMES: Partial<Record<string, MessageKey>> & Record<QuotedRedemption["kind"], MessageKey> = {
  fixed: "appliedFixed",
  products: "appliedProducts",
  percentage: "appliedPercentage",
  free_shipping: "appliedFreeShipping",
  free_product: "appliedFreeProduct",
}

interface RedemptionListProps {
  redemptions: (QuotedRedemption | Redemption)[]
  /** Of redemptions that do not say their own. */
  currency?: string
  /** Missing where nothing can be changed. */
  onRemove?: (id: string) => void
}

/** Open redemptions: what they give and cost, and how long they are valid. */
export function RedemptionList({ redemptions, currency, onRemove }: RedemptionListProps) {
  const { texts } = useDustContext()
  const { t, points, money } = texts
  return (
    <ul className="dust-list">
      {redemptions.map((redemption) => {
        const { id, kind, value, dust, code } = redemption
        const own = "currency_code" in redemption ? redemption : undefined
        // A newer Dust may have kinds that this kit does not know.
        const name = t(NAMES[kind] ?? "rewardsTitle", { amount: value === null ? "" : money(value, own?.currency_code ?? currency) })
        return (
          <li key={id} className="dust-row">
            <div>
              <strong>{name}</strong> <span className="dust-amount">{points(-dust)}</span>
              <br />
              <Countdown until={redemption.expires_at} />{" "}
              {code && <span className="dust-muted dust-code">{t("code", { code })}</span>}
              {own?.reason && <p className="dust-muted">{texts.reason(own.reason)}</p>}
            </div>
            {onRemove && (
              <ActionButton id={id} text={t("remove")} subject={name} onClick={() => onRemove(id)} />
            )}
          </li>
        )
      })}
    </ul>
  )
}
