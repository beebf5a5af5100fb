import type { ReactNode } from "react"
import type { DustRewardRule } from "../../../types"
import { idFrom } from "../../lib/document"
import { useTexts } from "../../lib/texts"
import { ByCurrencyAt, CurrenciesAt } from "./by-currency"
import { DiscountExample } from "./examples"
import { ChoiceAt, DecimalAt, TextAt, useField, WholeAt } from "./fields"
import { ListAt } from "./list"
import { ProductAt } from "./picker"
import { Columns, Section } from "./section"

type Kind = DustRewardRule["kind"]
type Reward = Required<DustRewardRule>

// What only some kinds have. The bridge refuses it for the others, so another kind begins with its own.
const OF_KIND: Record<Kind, Pick<Reward, "percent" | "max_value" | "product_id" | "quantity">> = {
  percentage: { percent: "10", max_value: {}, product_id: null, quantity: null },
  free_shipping: { percent: null, max_value: {}, product_id: null, quantity: null },
  free_product: { percent: null, max_value: {}, product_id: "", quantity: null },
}
const NEW_REWARD: Reward = {
  id: "",
  name: "",
  kind: "percentage",
  dust: 500,
  ...OF_KIND.percentage,
  min_cart: {},
  currency_codes: [],
}

export function SpendingRules(): ReactNode {
  const t = useTexts()
  return (
    <Section title={t("rules.section.spending")}>
      <Columns>
        <ByCurrencyAt at="redeem.rates" />
        <DecimalAt at="redeem.max_share" />
        <DiscountExample />
        <WholeAt at="redeem.min_dust" />
        <WholeAt at="redeem.max_dust" />
        <WholeAt at="redeem.code_ttl_minutes" />
      </Columns>
    </Section>
  )
}

export function RewardRules(): ReactNode {
  const t = useTexts()
  return (
    <Section title={t("rules.section.rewards")}>
      <ListAt at="redeem.rewards" blank={NEW_REWARD}>
        {(at) => <RewardFields at={at} />}
      </ListAt>
    </Section>
  )
}

function RewardFields({ at }: { at: string }): ReactNode {
  const { value: reward, set } = useField<Reward>(at)
  return (
    <>
      <TextAt at={`${at}.name`} onLeave={(name) => !reward.id && set({ ...reward, id: idFrom(name) })} />
      <TextAt at={`${at}.id`} />
      <ChoiceAt
        at={`${at}.kind`}
        choices={Object.keys(OF_KIND)}
        onChange={(kind) => set({ ...reward, kind: kind as Kind, ...OF_KIND[kind as Kind] })}
      />
      <WholeAt at={`${at}.dust`} />
      <DiscountExample pointsAt={`${at}.dust`} />
      {reward.kind === "percentage" && <DecimalAt at={`${at}.percent`} />}
      {reward.kind === "free_product" && (
        <>
          <ProductAt at={`${at}.product_id`} />
          <WholeAt at={`${at}.quantity`} />
        </>
      )}
      {reward.kind !== "free_product" && <ByCurrencyAt at={`${at}.max_value`} />}
      <ByCurrencyAt at={`${at}.min_cart`} />
      <CurrenciesAt at={`${at}.currency_codes`} />
    </>
  )
}
