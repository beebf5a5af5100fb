"use client"

import type { QuotedReward } from "../../types.js"
import { ActionButton } from "../action-button.js"
import { useDustContext } from "../context.js"
import type { Texts } from "../texts.js"
import type { Redeem } from "./checkout-panel.js"

interface RewardsProps {
  rewards: QuotedReward[]
  currency: string
  redeem: Redeem
}

/** The catalogue, with the reason for what cannot be had yet. */
export function Rewards({ rewards, currency, redeem }: RewardsProps) {
  const { texts } = useDustContext()
  const { t } = texts
  if (!rewards.length) return null
  return (
    <div className="dust-block">
      <h3 className="dust-subtitle">{t("rewardsTitle")}</h3>
      <ul className="dust-list">
        {rewards.map((reward) => {
          const { id, name, dust } = reward
          const why = reasonsOf(reward, currency, texts)
          return (
            <li key={id} className="dust-row">
              <div>
                <strong>{name}</strong>
                {why && <p className="dust-muted">{why}</p>}
              </div>
              <ActionButton
                id={id}
                text={t("rewardGet", { points: dust })}
                subject={name}
                disabled={why !== ""}
                onClick={() => redeem(id, { reward_id: id }, () => t("rewardGot", { name }))}
              />
            </li>
          )
        })}
      </ul>
    </div>
  )
}

function reasonsOf(reward: QuotedReward, currency: string, texts: Texts): string {
  const { missing_amount: amount, missing_dust: dust, reason, reason_code: code } = reward
  const reasons = []
  if (amount !== null) reasons.push(texts.t("rewardMissingAmount", { amount: texts.money(amount, currency) }))
  if (dust > 0) reasons.push(texts.t("missing", { points: dust }))
  // Those two say more than the reason, which is the first of them.
  if (!reasons.length && reason !== null) reasons.push(texts.error({ code: code ?? "", message: reason }))
  return reasons.join(" ")
}
