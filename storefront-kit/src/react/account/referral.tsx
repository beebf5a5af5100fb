"use client"

import { useEffect, useId, useRef, useState, type FormEvent } from "react"
import type { Referral as ReferralData } from "../../types.js"
import { ActionButton } from "../action-button.js"
import { useDustContext } from "../context.js"
import { useResource } from "../hooks.js"
import { Notice, Section, useAct } from "../parts.js"

export interface ReferralProps {
  /** The referral, if the server has read it. */
  referral?: ReferralData
  /** The page that friends should open, with `{code}` for the code, such as `https://shop.example/welcome?code={code}`. */
  link?: string
}

/** The customer's code to copy and share, what it has brought, and a field for the code of a friend. */
export function Referral({ referral: initial, link }: ReferralProps) {
  const { texts, actions, customerId } = useDustContext()
  const read = customerId === null ? undefined : actions.referral
  const { data } = useResource("referral", read, { initial })
  const { run, titleRef } = useAct("referral")
  const { t } = texts
  if (!data || (!data.offer && !data.referred_by && !data.brought.stated)) return null
  const { offer, referred_by: referredBy, brought, code } = data
  const enter = actions.useReferral
  return (
    <Section name="referral" title={t("referralTitle")} titleRef={titleRef}>
      {offer && (
        <>
          <p>{t("referralOffer", { referred: offer.referred, referrer: offer.referrer })}</p>
          <Share code={code} link={link?.replace("{code}", encodeURIComponent(code))} />
        </>
      )}
      {brought.stated > 0 && (
        <p className="dust-muted">
          {t("referralBrought", { count: texts.number(brought.stated), points: brought.dust })}
        </p>
      )}
      {referredBy && <p className="dust-muted">{t("referralReferred", { points: referredBy.bonus })}</p>}
      {offer && !referredBy && enter && (
        <CodeForm onEnter={(entered) => void run("referral", () => enter(entered), () => t("referralEntered"))} />
      )}
      <Notice place="referral" />
    </Section>
  )
}

function Share({ code, link }: { code: string; link?: string }) {
  const { texts } = useDustContext()
  const { t } = texts
  const id = useId()
  const field = useRef<HTMLInputElement>(null)
  const [result, setResult] = useState("")
  // Only the browser knows, and the first render has to be the server's.
  const [canShare, setCanShare] = useState(false)
  useEffect(() => setCanShare(typeof navigator.share === "function"), [])

  async function copy(): Promise<void> {
    field.current?.select()
    const hasWorked = await copyText(link ?? code)
    setResult(t(hasWorked ? "referralCopied" : "referralCopyFailed"))
  }

  async function share(): Promise<void> {
    try {
      await navigator.share({ text: t("referralShareText", { code }), ...(link && { url: link }) })
    } catch {
      // The shopper has closed the dialog.
    }
  }

  return (
    <>
      <div className="dust-field">
        <label htmlFor={id}>{t(link ? "referralLink" : "referralCode")}</label>
        <input id={id} ref={field} className="dust-input dust-input-wide" readOnly value={link ?? code} />
      </div>
      <div className="dust-buttons">
        <button type="button" className="dust-button dust-button-primary" onClick={() => void copy()}>
          {t("referralCopy")}
        </button>
        {canShare && (
          <button type="button" className="dust-button" onClick={() => void share()}>
            {t("referralShare")}
          </button>
        )}
      </div>
      <p className="dust-muted dust-range" role="status">
        {result}
      </p>
    </>
  )
}

/** On plain HTTP there is no clipboard: the older command copies what is selected. */
async function copyText(text: string): Promise<boolean> {
  try {
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text)
      return true
    }
    return document.execCommand("copy")
  } catch {
    return false
  }
}

function CodeForm({ onEnter }: { onEnter: (code: string) => void }) {
  const { texts } = useDustContext()
  const { t } = texts
  const id = useId()
  const field = useRef<HTMLInputElement>(null)
  const [code, setCode] = useState("")
  const [isWrong, setIsWrong] = useState(false)

  function submit(event: FormEvent): void {
    event.preventDefault()
    const entered = code.trim()
    const isCode = /^[A-Za-z0-9]{1,20}$/.test(entered)
    setIsWrong(!isCode)
    if (isCode) onEnter(entered)
    else field.current?.focus()
  }

  return (
    <form className="dust-block" onSubmit={submit} noValidate>
      <h3 className="dust-subtitle">{t("referralEnter")}</h3>
      <div className="dust-field">
        <label htmlFor={id}>{t("referralEnterLabel")}</label>
        <input
          id={id}
          ref={field}
          className="dust-input"
          autoComplete="off"
          value={code}
          aria-invalid={isWrong || undefined}
          aria-describedby={`${id}problem`}
          onChange={(event) => {
            setCode(event.target.value)
            setIsWrong(false)
          }}
        />
        <ActionButton id="referral" submit text={t("referralEnterButton")} />
      </div>
      <p className="dust-problem" id={`${id}problem`} aria-live="polite">
        {isWrong ? t("referralEnterEmpty") : ""}
      </p>
    </form>
  )
}
