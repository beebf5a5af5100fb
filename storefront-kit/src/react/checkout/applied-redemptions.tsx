"use client"

import type { QuotedRedemption } from "../../types.js"
import { ActionButton } from "../action-button.js"
import { useDustContext } from "../context.js"
import { Countdown } from "../parts.js"
import type { MessageKey, Texts } from "../texts.js"

const NAMES: Record<QuotedRedemption["kind"], MessageKey> = {
  fixed: "appliedFixed",
  products: "appliedProducts",
  percentage: "appliedPercentage",
  free_shipping: "appliedFreeShipping",
  free_product: "appliedFreeProduct",
}

/** What a redemption gives, in words. */
export function nameOf({ kind, value }: Pick<QuotedRedemption, "kind" | "value">, texts: Texts, currency?: string): string {
  return texts.t(NAMES[kind], { amount: value === null ? "" : texts.money(value, currency) })
}

interface AppliedProps {
  redemptions: QuotedRedemption[]
  onRemove?: (id: string) => void
}

/** The open redemptions of this cart. */
export function AppliedRedemptions({ redemptions, onRemove }: AppliedProps) {
  const { texts } = useDustContext()
  const { t } = texts
  if (!redemptions.length) return null
  return (
    <div className="dust-block">
      <h3 className="dust-subtitle">{t("applied")}</h3>
      <ul className="dust-list">
        {redemptions.map((redemption) => {
          const name = nameOf(redemption, texts)
          return (
            <li key={redemption.id} className="dust-row">
              <div>
                <strong>{name}</strong> <span className="dust-amount">{texts.points(-redemption.dust)}</span>
                <br />
                <Countdown until={redemption.expires_at} />
                {redemption.code && <span className="dust-muted"> · {t("code", { code: redemption.code })}</span>}
              </div>
              {onRemove && (
                <ActionButton id={redemption.id} label={t("removeLabel", { name })} onClick={() => onRemove(redemption.id)}>
                  {t("remove")}
                </ActionButton>
              )}
            </li>
          )
        })}
      </ul>
    </div>
  )
}
