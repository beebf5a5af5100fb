"use client"

import { useDustContext } from "../context.js"
import { useBalance } from "../hooks.js"
import { Section } from "../parts.js"
import type { BalanceProps } from "./balance-summary.js"

/** The customer's level, how far the next one is, and what both bring. Nothing without levels. */
export function TierProgress({ balance: initial }: BalanceProps) {
  const { texts, programme } = useDustContext()
  const { data } = useBalance(initial)
  const tier = data?.tier
  if (!tier) return null
  const { t, points, money, date } = texts
  const { next } = tier
  const show = (value: string): string =>
    tier.currency_code === null ? points(Number(value)) : money(value, tier.currency_code)
  const benefitsOf = (name: string | null | undefined): string[] =>
    programme?.tiers.find((level) => level.name === name)?.benefits ?? []
  const progress = Number(tier.progress)
  const goal = next ? progress + Number(next.missing) : progress
  return (
    <Section
      name="tier"
      title={t("tierTitle")}
      aside={<span className="dust-badge">{tier.name ?? t("tierNone")}</span>}
    >
      {tier.factor !== "1" && <p>{t("tierFactor", { factor: texts.number(Number(tier.factor)) })}</p>}
      {next ? (
        <>
          <progress
            className="dust-progress"
            max={goal}
            value={Math.max(0, progress)}
            aria-label={t("tierMissing", { missing: show(next.missing), name: next.name })}
          />
          <p>
            {t("tierMissing", { missing: show(next.missing), name: next.name })}{" "}
            <span className="dust-muted">{t("tierProgress", { progress: show(tier.progress), goal: show(String(goal)) })}</span>
          </p>
        </>
      ) : (
        <p>{t("tierTop")}</p>
      )}
      {tier.until !== null && <p className="dust-muted">{t("tierUntil", { date: date(tier.until) })}</p>}
      <Benefits title={t("tierBenefits")} benefits={benefitsOf(tier.name)} />
      {next && <Benefits title={t("tierNextBenefits", { name: next.name })} benefits={benefitsOf(next.name)} />}
    </Section>
  )
}

function Benefits({ title, benefits }: { title: string; benefits: string[] }) {
  if (!benefits.length) return null
  return (
    <>
      <h3 className="dust-subtitle">{title}</h3>
      <ul className="dust-benefits">
        {benefits.map((benefit) => (
          <li key={benefit}>{benefit}</li>
        ))}
      </ul>
    </>
  )
}
