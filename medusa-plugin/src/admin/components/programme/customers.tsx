import type { ReactNode } from "react"
import { useTexts } from "../../lib/texts"
import { CurrencyAt } from "./by-currency"
import { EarnExample } from "./examples"
import { ChoiceAt, DecimalAt, LinesAt, TextAt, useField, WholeAt } from "./fields"
import { ListAt } from "./list"
import { Columns, Section } from "./section"

const NEW_LEVEL = { name: "", from: "1000", factor: "1", benefits: [] }

export function TierRules(): ReactNode {
  const t = useTexts()
  const { value: basis } = useField<string>("tiers.basis")
  const { value: currency } = useField<string | null>("tiers.currency_code")
  return (
    <Section title={t("rules.section.tiers")}>
      <Columns>
        <ChoiceAt at="tiers.basis" choices={["earned", "spent"]} />
        {(basis === "spent" || currency !== null) && <CurrencyAt at="tiers.currency_code" />}
        <WholeAt at="tiers.window_days" />
      </Columns>
      <ListAt at="tiers.levels" blank={NEW_LEVEL}>
        {(at) => (
          <>
            <TextAt at={`${at}.name`} />
            <DecimalAt at={`${at}.from`} />
            <DecimalAt at={`${at}.factor`} />
            <LinesAt at={`${at}.benefits`} />
            <EarnExample factorAt={`${at}.factor`} />
          </>
        )}
      </ListAt>
    </Section>
  )
}

export function BonusRules(): ReactNode {
  const t = useTexts()
  return (
    <Section title={t("rules.section.bonuses")}>
      <Columns>
        <WholeAt at="bonuses.signup" />
        <WholeAt at="bonuses.referral.referrer" />
        <WholeAt at="bonuses.referral.referred" />
        <WholeAt at="bonuses.referral.min_earned" />
        <WholeAt at="bonuses.referral.max_per_30_days" />
      </Columns>
    </Section>
  )
}

export function ReturnRules(): ReactNode {
  const t = useTexts()
  return (
    <Section title={t("rules.section.returns")}>
      <Columns>
        <ChoiceAt at="reversal.negative_balance" choices={["allow", "within_balance"]} />
      </Columns>
    </Section>
  )
}

export function GuestRules(): ReactNode {
  const t = useTexts()
  return (
    <Section title={t("rules.section.guests")}>
      <Columns>
        <WholeAt at="guests.escrow_days" />
        <ChoiceAt at="guests.claim" choices={["transfer", "registration", "account"]} />
      </Columns>
    </Section>
  )
}

export function NamingRules(): ReactNode {
  const t = useTexts()
  return (
    <Section title={t("rules.section.naming")}>
      <Columns>
        <TextAt at="name.one" />
        <TextAt at="name.many" />
      </Columns>
    </Section>
  )
}
