"use client"

import type { CartRedemption, CustomerQuote, Quote, Redemption } from "../../types.js"
import { ActionButton } from "../action-button.js"
import { useDustContext } from "../context.js"
import { Nudge } from "../guest-nudge.js"
import { useBusy, useNotice, useQuote, useStored } from "../hooks.js"
import { Breakdown, Notice, Section, Skeleton, useAct } from "../parts.js"
import { RedemptionList } from "../redemption-list.js"
import { AVAILABLE } from "../store.js"
import { PointsForm } from "./points-form.js"
import { DueLines, OptionalLines } from "./priced-lines.js"
import { Rewards } from "./rewards.js"

export interface CheckoutPanelProps {
  /**
   * Changes whenever the cart does, such as `${cart.updated_at} ${cart.total}`: a code that enters or leaves a cart does not
   * change its `updated_at` (Medusa 2.21.2).
   */
  version?: unknown
  /** The quote, if the server has read it. */
  quote?: Quote
  /** Names of the cart's products by product id. */
  names?: Record<string, string>
  /** Show what is used, and change nothing: a change resets the payment. Set it from the payment step on. */
  locked?: boolean
  /** Where a locked panel can be changed, such as the cart or the step before the payment. */
  changeHref?: string
  signInHref?: string
  signUpHref?: string
}

/** All that a shopper can do with points in a cart. */
export function CheckoutPanel(props: CheckoutPanelProps) {
  const { texts, actions } = useDustContext()
  const { data: quote, error, loading } = useQuote(props.version, props.quote)
  const notice = useNotice("checkout")
  const act = useAct("checkout")
  const { t } = texts
  const title = t("panelTitle")
  if (!actions.quote || error?.code === "no_cart") return null
  if (quote?.guest) return <Nudge {...props} quote={quote} />
  if (quote) return <Panel {...props} quote={quote} act={act} />
  if (loading) return <Skeleton name="panel" title={title} />
  const isSignedOut = error?.code === "not_authenticated"
  // The API says what to do; a failure has nothing to say but that the order does not need points.
  const isRefused = isSignedOut || (error?.status !== undefined && error.status < 500)
  const sentence = error && isRefused ? texts.error(error) : t("panelUnavailable")
  return (
    <Section name="panel" title={title} titleRef={act.titleRef}>
      <Notice place="checkout" />
      {/* An action that has just failed says the same. */}
      {sentence !== notice.error && <p className="dust-muted">{sentence}</p>}
      {isSignedOut && props.signInHref ? (
        <a className="dust-button" href={props.signInHref}>
          {t("guestSignIn")}
        </a>
      ) : (
        <ActionButton id="refresh" text={t("tryAgain")} onClick={act.tryAgain} />
      )}
    </Section>
  )
}

/** Start one of the panel's actions; `done` is the sentence about its result. */
export type Redeem = (id: string, request: CartRedemption, done: (redemption: Redemption) => string) => void

interface PanelProps extends CheckoutPanelProps {
  quote: CustomerQuote
  act: ReturnType<typeof useAct>
}

function Panel({ quote, names = {}, locked = false, changeHref, act: { run, remove, titleRef } }: PanelProps) {
  const { texts, redeem } = useDustContext()
  const busy = useBusy()
  const available = useStored<number>(AVAILABLE).data ?? quote.available
  const { t } = texts

  const start: Redeem = (id, request, done) => void run(id, () => redeem(request), done)

  return (
    <Section
      name="panel"
      title={t("panelTitle")}
      titleRef={titleRef}
      busy={busy !== undefined}
      aside={<span className="dust-badge">{t("panelAvailable", { points: available })}</span>}
    >
      <Notice place="checkout" />
      {quote.earn > 0 && (
        <div className="dust-block dust-order-earns">
          <p>
            <span className="dust-star" aria-hidden="true" />
            {t("earnOrder", { points: quote.earn })}
          </p>
          <Breakdown parts={quote.breakdown} />
        </div>
      )}
      {quote.redemptions.length > 0 && (
        <div className="dust-block">
          <h3 className="dust-subtitle">{t("applied")}</h3>
          <RedemptionList
            redemptions={quote.redemptions}
            currency={quote.currency_code}
            onRemove={locked ? undefined : remove}
          />
        </div>
      )}
      {locked ? (
        <>
          <DueLines quote={quote} available={available} names={names} />
          <p className="dust-muted">
            {t("panelLocked")} {changeHref && <a href={changeHref}>{t("panelLockedLink")}</a>}
          </p>
        </>
      ) : (
        <>
          <DueLines quote={quote} available={available} names={names} redeem={start} />
          <PointsForm quote={quote} available={available} redeem={start} />
          <OptionalLines quote={quote} available={available} names={names} redeem={start} />
          <Rewards rewards={quote.rewards} currency={quote.currency_code} redeem={start} />
        </>
      )}
    </Section>
  )
}
