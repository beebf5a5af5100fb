"use client"

import type { Redemptions } from "../../types.js"
import { useDustContext } from "../context.js"
import { useNotice, useResource } from "../hooks.js"
import { Notice, Section, useAct } from "../parts.js"
import { RedemptionList } from "../redemption-list.js"

const LIMIT = 100

/** All codes that hold points, with a way to give each back, also when its cart is gone. */
export function OpenRedemptions({ redemptions: initial }: { redemptions?: Redemptions }) {
  const { texts, actions, customerId } = useDustContext()
  const { redemptions: read } = actions
  const { data } = useResource(
    "redemptions",
    customerId !== null && read ? () => read({ limit: LIMIT }) : undefined,
    { initial },
  )
  const notice = useNotice("account")
  const { remove, titleRef } = useAct("account")
  const { t } = texts
  const open = (data?.redemptions ?? []).filter(({ state }) => state === "active" || state === "pending")
  if (!open.length && !notice.text && !notice.error) return null

  return (
    <Section name="open" title={t("openTitle")} titleRef={titleRef}>
      <RedemptionList redemptions={open} onRemove={remove} />
      <Notice place="account" />
    </Section>
  )
}
