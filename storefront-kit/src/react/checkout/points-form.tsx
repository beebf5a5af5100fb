"use client"

import { useId, useRef, useState, type FormEvent } from "react"
import type { CustomerQuote } from "../../types.js"
import { ActionButton } from "../action-button.js"
import { useDustContext } from "../context.js"
import { discountFor } from "../discount.js"
import { parsePoints, quickAmounts, sliderStep } from "../parse-points.js"
import type { Texts } from "../texts.js"
import type { Redeem } from "./checkout-panel.js"

const ID = "discount"

interface PointsFormProps {
  quote: CustomerQuote
  available: number
  redeem: Redeem
}

/** Choose how many points to use: a slider and a field that always agree, with what they take off. */
export function PointsForm({ quote, available, redeem }: PointsFormProps) {
  const { texts } = useDustContext()
  // Products that only points can buy come first: until they are paid, it does not matter why there is no discount.
  // Too many open codes matter to them too.
  const hasTooMany = quote.reason_code === "too_many_open_redemptions"
  if (quote.max_dust === 0 && quote.dust_only_items.length && !hasTooMany) return null
  return (
    <div className="dust-block">
      <h3 className="dust-subtitle">{texts.t("formTitle")}</h3>
      {quote.max_dust > 0 ? (
        <Form quote={quote} available={available} redeem={redeem} />
      ) : (
        <p className="dust-muted">{whyNone(quote, texts)}</p>
      )}
    </div>
  )
}

/** Why no points can be used. */
function whyNone(quote: CustomerQuote, { t, error }: Texts): string {
  const { min_dust: min, available, currency_code: currency, redemptions, reason, reason_code: code } = quote
  switch (code) {
    case "no_redeem_rate":
      return t("formNoRate", { currency: currency.toUpperCase() })
    case "insufficient_dust":
      return min === 1 ? t("formNoPoints") : t("formTooFew", { min, missing: min - available })
    case "cart_too_small":
    case "cart_takes_no_points":
      if (redemptions.length) return t("formNoMore")
      return code === "cart_too_small" ? t("formSmall", { min }) : t("formNone")
    default:
      return error({ code: code ?? "", message: reason ?? "" })
  }
}

function Form({ quote, available, redeem }: PointsFormProps) {
  const { texts, programme } = useDustContext()
  const { t, number, locale } = texts
  const { min_dust: min, max_dust: max, currency_code: currency } = quote
  // What was typed; undefined: the most, also when the quote changes.
  const [typed, setTyped] = useState<string>()
  const [isShown, setIsShown] = useState(false)
  const field = useRef<HTMLInputElement>(null)
  const id = useId()

  const text = typed ?? String(max)
  const parsed = parsePoints(text, { min, max, available }, locale)
  const discount = parsed.points === undefined ? undefined : discountFor(parsed.points, quote, programme)
  const amount = discount && texts.money(discount.value, currency)
  const problem = parsed.problem && t(parsed.problem, { min: number(min), max: number(max), available: available })
  // Nobody who is still typing is corrected, unless more digits cannot help.
  const mayGrow = parsed.problem === "formEmpty" || (parsed.problem === "formMin" && /^[1-9]/.test(text))
  const isVisible = problem !== undefined && (isShown || !mayGrow)
  const step = sliderStep(min, max)

  function choose(next: number): void {
    setTyped(String(Math.min(max, Math.max(min, next))))
    setIsShown(false)
  }

  function submit(event: FormEvent): void {
    event.preventDefault()
    if (!discount) {
      setIsShown(true)
      field.current?.focus()
      return
    }
    redeem(ID, { dust: discount.points }, ({ dust, value }) => {
      setTyped(undefined)
      setIsShown(false)
      if (value === null) return t("formUsedNoAmount", { points: dust })
      return t("formUsed", { points: dust, amount: texts.money(value, currency) })
    })
  }

  return (
    <form onSubmit={submit} noValidate>
      {max > min && (
        <input
          className="dust-slider"
          type="range"
          aria-label={t("formSlider")}
          aria-valuetext={discount && t("formSliderValue", { points: discount.points, amount: amount ?? "" })}
          min={Math.floor(min / step) * step}
          max={Math.ceil(max / step) * step}
          step={step}
          value={parsed.points ?? min}
          onChange={(event) => choose(Number(event.target.value))}
        />
      )}
      <div className="dust-field">
        <label htmlFor={`${id}field`}>{t("formLabel")}</label>
        <input
          id={`${id}field`}
          ref={field}
          className="dust-input"
          inputMode="numeric"
          autoComplete="off"
          value={text}
          aria-invalid={isVisible || undefined}
          aria-describedby={`${id}value ${id}range ${id}problem`}
          onChange={(event) => setTyped(event.target.value)}
          onBlur={() => setIsShown(true)}
        />
        <span className="dust-value" id={`${id}value`}>
          {amount === undefined ? "\u00a0" : t("formValue", { amount })}
        </span>
      </div>
      <p className="dust-muted dust-range" id={`${id}range`}>
        {t("formRange", { min: number(min), max: number(max) })}
      </p>
      <p className="dust-problem" id={`${id}problem`} aria-live="polite">
        {isVisible ? problem : ""}
      </p>
      <div className="dust-buttons">
        {[...quickAmounts(min, max), max].map((quick) => (
          <button
            key={quick}
            type="button"
            className="dust-chip"
            aria-pressed={parsed.points === quick}
            onClick={() => choose(quick)}
          >
            {quick === max ? `${t("formMax")} (${number(max)})` : number(quick)}
          </button>
        ))}
      </div>
      <ActionButton id={ID} primary submit text={discount ? t("formUse", { points: discount.points }) : t("panelTitle")} />
    </form>
  )
}
