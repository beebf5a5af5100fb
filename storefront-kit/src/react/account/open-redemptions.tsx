"use client"

import type { Redemption, Redemptions } from "../../types.js"
import { ActionButton } from "../action-button.js"
import { nameOf } from "../checkout/applied-redemptions.js"
import { useDustContext } from "../context.js"
import { useResource, useStored } from "../hooks.js"
import { Countdown, Notice, Section, useAct } from "../parts.js"

const LIMIT = 100

/** All codes that hold points, with a way to give each back, also when its cart is gone. */
export function OpenRedemptions({ redemptions: initial }: { redemptions?: Redemptions }) {
  const { texts, actions, customerId } = useDustContext()
  const read = customerId === null ? undefined : actions.redemptions
  const { data } = useResource("redemptions", read && (() => read({ limit: LIMIT })), { initial })
  const hasNotice = useStored("account").data !== undefined
  const { run, titleRef } = useAct("account")
  const { t, points } = texts
  const release = actions.release
  const open = (data?.redemptions ?? []).filter(({ state }) => state === "active" || state === "pending")
  if (!open.length && !hasNotice) return null

  const describe = (redemption: Redemption): string => nameOf(redemption, texts, redemption.currency_code ?? undefined)
  return (
    <Section name="open" title={t("openTitle")} titleRef={titleRef}>
      <ul className="dust-list">
        {open.map((redemption) => (
          <li key={redemption.id} className="dust-row">
            <div>
              <strong>{describe(redemption)}</strong> <span className="dust-amount">{points(redemption.dust)}</span>
              <br />
              <Countdown until={redemption.expires_at} />
              {redemption.code && <span className="dust-muted"> · {t("code", { code: redemption.code })}</span>}
              {redemption.reason && <p className="dust-muted">{redemption.reason}</p>}
            </div>
            {release && (
              <ActionButton
                id={redemption.id}
                label={t("openReleaseLabel", { name: describe(redemption) })}
                onClick={() => void run(redemption.id, () => release(redemption.id), () => t("openReleased"))}
              >
                {t("openRelease")}
              </ActionButton>
            )}
          </li>
        ))}
      </ul>
      <Notice place="account" />
    </Section>
  )
}
